"""Disk cache of frozen encoders' outputs, which are computed once (design rule 3).

A namespace is one way of computing outputs: the fingerprint of encoder weights and preprocessing. Within it,
a row is found by the hash of its input. A row is a pooled vector and, where the fusion reads them, tokens.
Shards are written under a temporary name and renamed; two writers at worst compute the same rows twice.
Shards are memory-mapped. Every row has a checksum; a damaged shard is deleted, reported, and computed again.
"""

import hashlib
import json
import os
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

from aisle.data import ImageRef
from aisle.data.paths import store_errors
from aisle.progress import SILENT, Progress

KEY_BYTES = 16
_ABANDONED_AFTER_S = 3600.0  # seconds after which a `.part` file belongs to a killed writer
_DTYPES = {"U8": np.uint8, "U32": np.uint32, "I64": np.int64, "F16": np.float16, "F32": np.float32}


def default_folder() -> Path:
    """`$AISLE_CACHE`, else `~/.cache/aisle`."""
    return Path(os.environ.get("AISLE_CACHE", Path.home() / ".cache" / "aisle")) / "features"


def content_key(value: Any) -> bytes:
    """Hash a view's value by content.

    Args:
        value: a text, a vector, or a sequence of images.

    Returns:
        16 bytes. An image that cannot be read for the moment gets a random key, so that it is never cached.
    """
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    if isinstance(value, str):
        digest.update(value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, np.ndarray):
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        for ref in value:
            digest.update(_image_key(ref))
    return digest.digest()


def _image_key(ref: ImageRef) -> bytes:
    try:
        return hashlib.blake2b(ref.read(), digest_size=KEY_BYTES).digest()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the key changes once the file is there
        return f"missing {ref.path}".encode()
    except (OSError, MemoryError, *store_errors()):  # a temporary failure: never cached
        return os.urandom(KEY_BYTES)


class Features(NamedTuple):
    """An encoder's outputs for b rows.

    Attributes:
        pooled: (b, …).
        tokens: (t, D) of each row, if the fusion reads them.
        temporary: (b,) bool, rows that a temporary failure affected (an image, while memory was short); they
            are used but not stored.
    """

    pooled: np.ndarray
    tokens: Sequence[np.ndarray] | None = None
    temporary: np.ndarray | None = None


Compute = Callable[[list[int]], Features]


class FeatureStore:
    """Encoder outputs by namespace and content key, in a folder.

    Where the folder cannot be written (a full disk, missing permissions), rows are kept in memory, with a
    warning.

    Args:
        folder: where shards are; `default_folder()` by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()
        self._namespaces: dict[str, _Namespace] = {}

    def get(
        self,
        namespace: str,
        keys: Sequence[bytes],
        compute: Compute,
        chunk: int = 256,
        label: str = "encoding",
        progress: Progress = SILENT,
    ) -> "StoredRows":
        """Look up n rows, computing those that are not stored.

        A chunk is on disk before the next one is computed. The expected size of tokens is reported first.

        Args:
            namespace: fingerprint of the encoder and its preprocessing.
            keys: n content keys.
            compute: called with positions in `keys`, at most `chunk` at a time.
            chunk: rows computed and stored at once.
            label: of the progress bar.
            progress: shows how many rows are computed.

        Returns:
            n rows, in the order of `keys`.
        """
        stored = self._namespaces.setdefault(namespace, _Namespace(self.folder / namespace))
        temporary: set[bytes] = set()
        missing = stored.missing(keys, progress)
        if missing:
            with progress(label, len(missing)) as advance:
                for start in range(0, len(missing), chunk):
                    positions = missing[start : start + chunk]
                    features = compute(positions)
                    if start == 0 and features.tokens is not None:
                        _report_token_size(features, len(missing), stored.folder, label, progress)
                    temporary.update(stored.add([keys[i] for i in positions], features, progress))
                    advance(len(positions))
        at = np.array([stored.positions[key] for key in keys], np.int64).reshape(-1, 2)
        rows = StoredRows(stored.shards, at)
        for key in temporary:
            del stored.positions[key]
        return rows


class StoredRows:
    """n rows of a namespace, memory-mapped.

    Args:
        shards: the namespace's shards.
        positions: (n, 2) shard and row of each.

    Attributes:
        lengths: (n,) number of tokens of each row.
    """

    def __init__(self, shards: "list[_Shard]", positions: np.ndarray) -> None:
        self._shards, self._positions = list(shards), positions
        self.lengths = np.zeros(len(positions), np.int64)
        for number in np.unique(positions[:, 0]):
            here = positions[:, 0] == number
            ends = self._shards[number].ends
            self.lengths[here] = np.diff(ends, prepend=0)[positions[here, 1]] if ends is not None else 1

    @property
    def pooled(self) -> np.ndarray:
        """(n, …) the pooled vectors."""
        first = self._shards[self._positions[0, 0]].pooled
        out = np.empty((len(self._positions), *first.shape[1:]), first.dtype)
        for number in np.unique(self._positions[:, 0]):
            here = self._positions[:, 0] == number
            out[here] = self._shards[number].pooled[self._positions[here, 1]]
        return out

    def tokens(self, rows: Iterable[int], width: int) -> np.ndarray:
        """(b, width, D) the tokens of b rows, padded with zeros."""
        found = [self._shards[shard].tokens_of(row) for shard, row in self._positions[list(rows)]]
        dim = self._shards[0].tokens.shape[1]  # type: ignore[union-attr]
        out = np.zeros((len(found), width, dim), np.float16)
        for i, tokens in enumerate(found):
            out[i, : len(tokens)] = tokens[:width]
        return out


class _Shard(NamedTuple):
    """n rows of one memory-mapped file.

    Attributes:
        file: None where it could not be written.
        pooled: (n, …).
        sums: (n + 1,) checksums of the rows, and of the keys.
        tokens: (T, D) of all rows, concatenated.
        ends: (n,) end of each row's tokens.
    """

    file: Path | None
    pooled: np.ndarray
    sums: np.ndarray
    tokens: np.ndarray | None = None
    ends: np.ndarray | None = None

    def tokens_of(self, row: int) -> np.ndarray:
        assert self.tokens is not None
        assert self.ends is not None
        return self.tokens[self.ends[row - 1] if row else 0 : self.ends[row]]

    def is_intact(self, row: int, key: bytes) -> bool:
        tokens = None if self.tokens is None else self.tokens_of(row)
        return self.sums[row] == _checksum(key, self.pooled[row], tokens)


class _DamagedError(Exception):
    """A shard is damaged."""


class _Namespace:
    """Index of a namespace: `positions` maps each key to (shard, row)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards: list[_Shard] = []
        self.positions: dict[bytes, tuple[int, int]] = {}
        self._opened: set[str] = set()
        self._writable = True

    def missing(self, keys: Sequence[bytes], progress: Progress) -> list[int]:
        """The first position of every key without an intact row."""
        if any(key not in self.positions for key in keys):
            self._open_new_shards(progress)
        for key in set(keys):
            if key in self.positions:
                number, row = self.positions[key]
                if not self.shards[number].is_intact(row, key):
                    self._remove_shard(number, progress)
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self.positions}
        return sorted(first.values())

    def _open_new_shards(self, progress: Progress) -> None:
        """Open shards that this or another process wrote since the last call."""
        try:
            entries = sorted(os.scandir(self.folder), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            if entry.name in self._opened:
                continue
            file = Path(entry.path)
            try:
                if entry.name.endswith(".part") and time.time() - entry.stat().st_mtime > _ABANDONED_AFTER_S:
                    file.unlink()
                if entry.name.endswith(".safetensors"):
                    self._opened.add(entry.name)
                    self._add_shard(*_open(file))
            except FileNotFoundError:  # another process deleted it
                continue
            except (_DamagedError, OSError, ValueError, LookupError, TypeError, AttributeError):
                _discard(file, progress)

    def _add_shard(self, keys: Sequence[bytes], shard: _Shard) -> None:
        for row, key in enumerate(keys):
            self.positions.setdefault(key, (len(self.shards), row))
        self.shards.append(shard)

    def _remove_shard(self, number: int, progress: Progress) -> None:
        self.positions = {key: at for key, at in self.positions.items() if at[0] != number}
        file = self.shards[number].file
        if file is not None:
            _discard(file, progress)

    def add(self, keys: list[bytes], features: Features, progress: Progress) -> list[bytes]:
        """Store rows on disk; in memory where that fails, with one warning.

        Returns:
            The keys of temporary rows, which are in memory only; the caller removes them.
        """
        if features.temporary is not None and features.temporary.any():
            temporary, lasting = np.flatnonzero(features.temporary), np.flatnonzero(~features.temporary)
            if len(lasting):
                self.add([keys[i] for i in lasting], _rows(features, lasting), progress)
            temporary_keys = [keys[i] for i in temporary]
            shard, _ = _arrays(temporary_keys, _rows(features, temporary))
            self._add_shard(temporary_keys, shard)
            return temporary_keys
        shard, arrays = _arrays(keys, features)
        if self._writable:
            name = f"{uuid.uuid4().hex}.safetensors"
            self._opened.add(name)
            try:
                keys, shard = _open(_write(self.folder / name, arrays))
            except OSError as error:
                self._writable = False
                why = error.strerror or error
                progress.say(
                    f"features cannot be kept in {self.folder} ({why}): next time they are computed anew"
                )
        self._add_shard(keys, shard)
        return []


def _rows(features: Features, rows: np.ndarray) -> Features:
    tokens = features.tokens
    return Features(features.pooled[rows], None if tokens is None else [tokens[i] for i in rows])


def _arrays(keys: list[bytes], features: Features) -> tuple[_Shard, dict[str, np.ndarray]]:
    pooled, tokens = np.ascontiguousarray(features.pooled), features.tokens
    each = [None] * len(keys) if tokens is None else tokens
    sums = [_checksum(*row) for row in zip(keys, pooled, each, strict=True)]
    named = {"keys": np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES), "pooled": pooled}
    if tokens is not None:
        named["tokens"] = np.concatenate(tokens)
        named["ends"] = np.cumsum([len(row) for row in tokens], dtype=np.int64)
    named["sums"] = np.array([*sums, _index_sum(named)], np.uint32)
    return _Shard(None, named["pooled"], named["sums"], named.get("tokens"), named.get("ends")), named


def _write(file: Path, arrays: dict[str, np.ndarray]) -> Path:
    partial = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save(arrays))
        partial.rename(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return file


def _open(file: Path) -> tuple[list[bytes], _Shard]:
    """A shard's keys, and its rows memory-mapped (safetensors: a length, a JSON header, then the arrays)."""
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        size = os.fstat(handle.fileno()).st_size
        if not 0 < length <= size - 8:
            raise _DamagedError
        header = json.loads(handle.read(length))
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        if 8 + length + end > size:
            raise _DamagedError
        shape, dtype = tuple(tensor["shape"]), _DTYPES[tensor["dtype"]]
        if end > start:
            arrays[name] = np.memmap(file, dtype, "r", 8 + length + start, shape)
        else:
            arrays[name] = np.zeros(shape, dtype)
    if int(arrays["sums"][-1]) != _index_sum(arrays):
        raise _DamagedError
    keys = [key.tobytes() for key in arrays["keys"]]
    shard = _Shard(file, arrays["pooled"], arrays["sums"], arrays.get("tokens"), arrays.get("ends"))
    ends = keys if shard.ends is None else shard.ends
    if len({len(keys), len(shard.pooled), len(shard.sums) - 1, len(ends)}) != 1:
        raise _DamagedError
    return keys, shard


def _index_sum(arrays: dict[str, np.ndarray]) -> int:
    """Checksum of the keys and the ends of tokens."""
    ends = arrays["ends"].tobytes() if "ends" in arrays else b""
    return zlib.crc32(ends, zlib.crc32(arrays["keys"].tobytes()))


def _checksum(key: bytes, pooled: np.ndarray, tokens: np.ndarray | None) -> int:
    checksum = zlib.crc32(np.ascontiguousarray(pooled).tobytes(), zlib.crc32(key))
    return checksum if tokens is None else zlib.crc32(np.ascontiguousarray(tokens).tobytes(), checksum)


def _discard(file: Path, progress: Progress) -> None:
    progress.say(f"{file} is damaged: what it kept is computed anew")
    try:
        file.unlink(missing_ok=True)
    except OSError:  # no permission: it stays, and is not used
        return


def _report_token_size(features: Features, rows: int, folder: Path, label: str, progress: Progress) -> None:
    """Report the disk space that tokens will take, hundreds of times that of pooled vectors."""
    assert features.tokens is not None
    count = sum(len(tokens) for tokens in features.tokens) / len(features.tokens)
    size = rows * sum(tokens.nbytes for tokens in features.tokens) / len(features.tokens)
    progress.say(
        f"{label}: the fusion reads tokens; {rows:,} rows of about {count:.0f} take about "
        f"{size / 2**20:,.0f} MiB in {folder}"
    )
