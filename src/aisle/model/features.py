"""What frozen encoders gave, and decoded pictures, kept on disk: computed once, ever (design rule 3).

A *space* is one way of computing (encoder weights and preprocessing, as a fingerprint); within it a
row is found by the hash of what it was computed from. Shards are written beside and renamed, so a
killed writer leaves nothing half-written and two writers at worst compute the same thing twice.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from aisle.catalog import ImageRef
from aisle.progress import SILENT, Progress

KEY_BYTES = 16


def default_folder() -> Path:
    """`$AISLE_CACHE`, else `~/.cache/aisle`."""
    return Path(os.environ.get("AISLE_CACHE", Path.home() / ".cache" / "aisle")) / "features"


def content_key(value: Any) -> bytes:
    """16 bytes that change when a text, a vector or any picture's bytes do."""
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    if isinstance(value, str):
        digest.update(value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, np.ndarray):
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        for ref in value:
            digest.update(_picture_key(ref))
    return digest.digest()


def _picture_key(ref: ImageRef) -> bytes:
    try:
        return hashlib.blake2b(ref.read(), digest_size=KEY_BYTES).digest()
    except OSError as error:  # a missing file may appear later: it has a key of its own
        return f"unreadable {ref.path} {error.errno}".encode()


class FeatureStore:
    """Arrays by space and content key, in a folder.

    `get` returns one row a key, calling `compute` with the positions that are not kept yet, a chunk at
    a time; what a chunk gave is on disk before the next one starts.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def get(
        self,
        space: str,
        keys: Sequence[bytes],
        compute: Callable[[list[int]], np.ndarray],
        chunk: int = 1024,
        label: str = "encoding",
        progress: Progress = SILENT,
    ) -> np.ndarray:
        """(n, …) one row a key, in order."""
        home = self.folder / space
        rows, kept = self._kept(home, set(keys))
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in rows}
        missing = sorted(first.values())
        if missing:
            with progress(label, len(missing)) as advance:
                for start in range(0, len(missing), chunk):
                    positions = missing[start : start + chunk]
                    values = np.ascontiguousarray(compute(positions))
                    self._write(home, [keys[i] for i in positions], values)
                    for position, value in zip(positions, values, strict=True):
                        rows[keys[position]] = len(kept)
                        kept.append(value)
                    advance(len(positions))
        return np.stack([kept[rows[key]] for key in keys])

    def _kept(self, home: Path, wanted: set[bytes]) -> tuple[dict[bytes, int], list[np.ndarray]]:
        rows: dict[bytes, int] = {}
        kept: list[np.ndarray] = []
        for shard in sorted(home.glob("*.safetensors")):
            try:
                with safe_open(str(shard), "numpy") as file:
                    keys = file.get_tensor("keys")
                    named = [k.tobytes() for k in keys]
                    if wanted.isdisjoint(named):
                        continue
                    values = file.get_tensor("values")
            except (SafetensorError, OSError):
                shard.unlink(missing_ok=True)  # only a failing disk truncates a renamed file: compute anew
                continue
            for i, key in enumerate(named):
                if key in wanted and key not in rows:
                    rows[key] = len(kept)
                    kept.append(values[i])
        return rows, kept

    def _write(self, home: Path, keys: list[bytes], values: np.ndarray) -> None:
        home.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        beside = home / f"{name}.part"
        table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), KEY_BYTES)
        save_file({"keys": table, "values": values}, str(beside))
        beside.rename(home / f"{name}.safetensors")
