"""What frozen encoders gave, kept on disk: computed once, ever (design rule 3).

A *space* is one way of computing (encoder weights and preprocessing, as a fingerprint); within it a row is
found by the hash of what it was computed from: a pooled vector, and where a fusion reads them the tokens.
Shards are written beside and renamed, so a killed writer leaves nothing half-written and two writers at
worst compute the same thing twice. They are mapped, not read: a batch touches its own rows alone. Every row
carries a checksum; a damaged shard is thrown away, said, and computed anew.
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
_ABANDONED = 3600.0  # seconds after which a file that was never renamed belongs to a killed writer
_KINDS = {"U8": np.uint8, "U32": np.uint32, "I64": np.int64, "F16": np.float16, "F32": np.float32}


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
    except (
        FileNotFoundError,
        NotADirectoryError,
        ValueError,
    ):  # it may appear later: a key of its own till then
        return f"missing {ref.path}".encode()
    except (
        OSError,
        MemoryError,
        *store_errors(),
    ):  # another time it may be read: a key that never comes again
        return os.urandom(KEY_BYTES)


class Features(NamedTuple):
    """What an encoder gave for b rows: `pooled` (b, …), and of each row its `tokens` (t, D), if kept.

    passing: (b,) bool, rows that another time may give more, such as a picture that memory was short for:
    they are used, and not kept.
    """

    pooled: np.ndarray
    tokens: Sequence[np.ndarray] | None = None
    passing: np.ndarray | None = None


Compute = Callable[[list[int]], Features]


class FeatureStore:
    """Rows by space and content key, in a folder.

    `get` finds one row a key, calling `compute` with the positions that are not kept yet, a chunk at a time;
    what a chunk gave is on disk before the next one starts. Where nothing can be written (a full disk, a
    folder of someone else's) rows are kept in memory, and that is said.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()
        self._spaces: dict[str, _Space] = {}

    def get(
        self,
        space: str,
        keys: Sequence[bytes],
        compute: Compute,
        chunk: int = 256,
        label: str = "encoding",
        progress: Progress = SILENT,
    ) -> "StoredRows":
        """n rows, one a key, in order. Before the first tokens are written, their size is told."""
        kept = self._spaces.setdefault(space, _Space(self.folder / space))
        forgotten: set[bytes] = set()
        missing = kept.missing(keys, progress)
        if missing:
            with progress(label, len(missing)) as advance:
                for start in range(0, len(missing), chunk):
                    positions = missing[start : start + chunk]
                    features = compute(positions)
                    if start == 0 and features.tokens is not None:
                        _tell_size(features, len(missing), kept.home, label, progress)
                    passing = kept.add([keys[i] for i in positions], features, progress)
                    forgotten.update(passing)
                    advance(len(positions))
        found = StoredRows(kept.shards, np.array([kept.at[key] for key in keys], np.int64).reshape(-1, 2))
        for key in forgotten:
            del kept.at[key]
        return found


class StoredRows:
    """n rows of a space, read where they lie. lengths: (n,) tokens of each."""

    def __init__(self, shards: "list[_Shard]", places: np.ndarray) -> None:
        self._shards, self._places = list(shards), places  # (n, 2) shard and row
        used = np.unique(places[:, 0])
        self.lengths = np.zeros(len(places), np.int64)
        for number in used:
            here = places[:, 0] == number
            ends = self._shards[number].ends
            self.lengths[here] = np.diff(ends, prepend=0)[places[here, 1]] if ends is not None else 1

    @property
    def pooled(self) -> np.ndarray:
        """(n, …)."""
        first = self._shards[self._places[0, 0]].pooled
        out = np.empty((len(self._places), *first.shape[1:]), first.dtype)
        for number in np.unique(self._places[:, 0]):
            here = self._places[:, 0] == number
            out[here] = self._shards[number].pooled[self._places[here, 1]]
        return out

    def tokens(self, rows: Iterable[int], width: int) -> np.ndarray:
        """(b, width, D) the tokens of some rows, zeros after each one's last."""
        found = [self._shards[shard].tokens_of(row) for shard, row in self._places[list(rows)]]
        dim = self._shards[0].tokens.shape[1]  # type: ignore[union-attr]
        out = np.zeros((len(found), width, dim), np.float16)
        for i, tokens in enumerate(found):
            out[i, : len(tokens)] = tokens[:width]
        return out


class _Shard(NamedTuple):
    """Rows of one file, mapped: `pooled` (n, …), `sums` (n + 1,) their checksums and that of their keys;
    tokens of all rows one after another, each row's up to its `ends`. file: None where it could not be
    written."""

    file: Path | None
    pooled: np.ndarray
    sums: np.ndarray
    tokens: np.ndarray | None = None
    ends: np.ndarray | None = None

    def tokens_of(self, row: int) -> np.ndarray:
        assert self.tokens is not None
        assert self.ends is not None
        return self.tokens[self.ends[row - 1] if row else 0 : self.ends[row]]

    def whole(self, row: int, key: bytes) -> bool:
        tokens = None if self.tokens is None else self.tokens_of(row)
        return self.sums[row] == _checksum(key, self.pooled[row], tokens)


class _DamagedError(Exception):
    """A shard is not what was written."""


class _Space:
    """One space in memory: where each key's row is, `at` {key: (shard, row)}."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.shards: list[_Shard] = []
        self.at: dict[bytes, tuple[int, int]] = {}
        self._seen: set[str] = set()
        self._writes = True

    def missing(self, keys: Sequence[bytes], progress: Progress) -> list[int]:
        """The first position of every key that has no sound row."""
        if any(key not in self.at for key in keys):
            self._look(progress)
        for key in set(keys):
            if key in self.at:
                number, row = self.at[key]
                if not self.shards[number].whole(row, key):
                    self._forget(number, progress)
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self.at}
        return sorted(first.values())

    def _look(self, progress: Progress) -> None:
        """Take in what was written since the last look, by whomever."""
        try:
            found = sorted(os.scandir(self.home), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in found:
            if entry.name in self._seen:
                continue
            file = Path(entry.path)
            try:
                if entry.name.endswith(".part") and time.time() - entry.stat().st_mtime > _ABANDONED:
                    file.unlink()
                if entry.name.endswith(".safetensors"):
                    self._seen.add(entry.name)
                    self._take(*_open(file))
            except FileNotFoundError:  # another process was faster
                continue
            except (_DamagedError, OSError, ValueError, LookupError, TypeError, AttributeError):
                _discard(file, progress)

    def _take(self, keys: Sequence[bytes], shard: _Shard) -> None:
        for row, key in enumerate(keys):
            self.at.setdefault(key, (len(self.shards), row))
        self.shards.append(shard)

    def _forget(self, number: int, progress: Progress) -> None:
        self.at = {key: place for key, place in self.at.items() if place[0] != number}
        file = self.shards[number].file
        if file is not None:
            _discard(file, progress)

    def add(self, keys: list[bytes], features: Features, progress: Progress) -> list[bytes]:
        """Keep these rows on disk; in memory where that fails, which is said once.

        Returns:
            The keys of passing rows, which are in memory alone, for the caller to forget.
        """
        if features.passing is not None and features.passing.any():
            now, later = np.flatnonzero(features.passing), np.flatnonzero(~features.passing)
            if len(later):
                self.add([keys[i] for i in later], _rows(features, later), progress)
            shard, _ = _arrays([keys[i] for i in now], _rows(features, now))
            self._take([keys[i] for i in now], shard)
            return [keys[i] for i in now]
        shard, arrays = _arrays(keys, features)
        if self._writes:
            name = f"{uuid.uuid4().hex}.safetensors"
            self._seen.add(name)
            try:
                keys, shard = _open(_write(self.home / name, arrays))
            except OSError as error:
                self._writes = False
                why = error.strerror or error
                progress.say(
                    f"features cannot be kept in {self.home} ({why}): next time they are computed anew"
                )
        self._take(keys, shard)
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
        named["ends"] = np.cumsum([len(one) for one in tokens], dtype=np.int64)
    named["sums"] = np.array([*sums, _index_sum(named)], np.uint32)
    return _Shard(None, named["pooled"], named["sums"], named.get("tokens"), named.get("ends")), named


def _write(file: Path, arrays: dict[str, np.ndarray]) -> Path:
    beside = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(save(arrays))
        beside.rename(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return file


def _open(file: Path) -> tuple[list[bytes], _Shard]:
    """A shard's keys, and its rows mapped (safetensors: a length, a JSON header, then the arrays)."""
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        size = os.fstat(handle.fileno()).st_size
        if not 0 < length <= size - 8:
            raise _DamagedError
        header = json.loads(handle.read(length))
    arrays: dict[str, np.ndarray] = {}
    for name, described in header.items():
        start, end = described["data_offsets"]
        if 8 + length + end > size:
            raise _DamagedError
        shape, kind = tuple(described["shape"]), _KINDS[described["dtype"]]
        arrays[name] = (
            np.memmap(file, kind, "r", 8 + length + start, shape) if end > start else np.zeros(shape, kind)
        )
    if int(arrays["sums"][-1]) != _index_sum(arrays):
        raise _DamagedError
    keys = [key.tobytes() for key in arrays["keys"]]
    shard = _Shard(file, arrays["pooled"], arrays["sums"], arrays.get("tokens"), arrays.get("ends"))
    ends = keys if shard.ends is None else shard.ends
    if len({len(keys), len(shard.pooled), len(shard.sums) - 1, len(ends)}) != 1:
        raise _DamagedError
    return keys, shard


def _index_sum(arrays: dict[str, np.ndarray]) -> int:
    """Of what says which rows there are."""
    ends = arrays["ends"].tobytes() if "ends" in arrays else b""
    return zlib.crc32(ends, zlib.crc32(arrays["keys"].tobytes()))


def _checksum(key: bytes, pooled: np.ndarray, tokens: np.ndarray | None) -> int:
    found = zlib.crc32(np.ascontiguousarray(pooled).tobytes(), zlib.crc32(key))
    return found if tokens is None else zlib.crc32(np.ascontiguousarray(tokens).tobytes(), found)


def _discard(file: Path, progress: Progress) -> None:
    progress.say(f"{file} is damaged: what it kept is computed anew")
    try:
        file.unlink(missing_ok=True)
    except OSError:  # someone else's folder: it stays, and is not used
        return


def _tell_size(features: Features, rows: int, home: Path, label: str, progress: Progress) -> None:
    """Tokens take hundreds of times the room of pooled vectors: say how much before it is gone."""
    assert features.tokens is not None
    count = sum(len(one) for one in features.tokens) / len(features.tokens)
    size = rows * sum(one.nbytes for one in features.tokens) / len(features.tokens)
    progress.say(
        f"{label}: the fusion reads tokens; {rows:,} rows of about {count:.0f} take about "
        f"{size / 2**20:,.0f} MiB in {home}"
    )
