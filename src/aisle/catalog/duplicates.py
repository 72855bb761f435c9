"""Rows that show the same product: by what they say, by their first picture, by a group column."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aisle.catalog import facts
from aisle.catalog.product import ImageRef
from aisle.catalog.text import normal

if TYPE_CHECKING:
    from aisle.catalog.catalog import Base

_SIZE = 16  # bytes of a hash


def digest(data: bytes) -> bytes:
    """16 bytes of BLAKE2b: two contents share them by chance once in 10^19 pairs of ten million rows."""
    return hashlib.blake2b(data, digest_size=_SIZE).digest()


def keys(base: "Base") -> np.ndarray:
    """(n,) S16: what each row says. Title and description where there are any, else its pictures,
    else all its fields."""
    out = np.zeros(len(base.records), dtype=f"V{_SIZE}")
    for i, record in enumerate(base.records.rows()):
        out[i] = np.void(_key(base, record))
    return out


def _key(base: "Base", record: Mapping[str, Any]) -> bytes:
    text = _words(base, record)
    if text:
        return digest(b"text\0" + text.encode())
    images = base.pictures.names(record)
    if images:
        parts = [name if isinstance(name, bytes) else name.encode() for name in images]
        return digest(b"images\0" + b"\0".join(digest(part) for part in parts))
    fields = {name: normal(str(record.get(column) or "")) for name, column in base.columns.text.items()}
    return digest(b"fields\0" + repr(sorted(fields.items())).encode())


def _words(base: "Base", record: Mapping[str, Any]) -> str:
    """Title and description as they are compared; blank where the row has neither."""
    columns = (base.columns.title, base.columns.description)
    words = [normal(str(record.get(column) or "")) if column else "" for column in columns]
    return "\0".join(words) if any(words) else ""


def groups(base: "Base", alike: Iterable[tuple[int, int]] = ()) -> np.ndarray:
    """(n,) int64: the smallest row number of each row's group (union-find over what they share).

    alike: pairs of record numbers (from 1) that belong together besides.
    """
    n = len(base.records)
    union = Union(n)
    if base.columns.group is not None:
        coded = facts.encode(base.records.column(base.columns.group))
        named = np.array([bool(value.strip()) for value in coded.values], dtype=bool)
        union.join_equal(coded.codes, named[coded.codes] if len(named) else np.zeros(n, bool))
    text = np.zeros(n, dtype=f"V{_SIZE}")
    said = np.zeros(n, dtype=bool)
    for i, record in enumerate(base.records.rows()):
        words = _words(base, record)
        if words:
            text[i], said[i] = np.void(digest(words.encode())), True
    union.join_equal(text, said)
    union.join_equal(*_contents(_first_pictures(base)))
    for a, b in alike:
        union.join(a - 1, b - 1)
    return union.roots()


def _first_pictures(base: "Base") -> Iterator[ImageRef | None]:
    for record in base.records.rows():
        refs = base.pictures.refs(record)
        yield refs[0] if refs else None


def _contents(refs: Iterable[ImageRef | None]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) hashes of the pictures' bytes, and where there is one. Files are read only where another
    has the same size: pictures of different sizes are different."""
    refs = list(refs)
    sizes = np.array([_size(ref) for ref in refs], dtype=np.int64)
    values, counts = np.unique(sizes, return_counts=True)
    shared = np.isin(sizes, values[counts > 1]) & (sizes > 0)
    hashes = np.zeros(len(refs), dtype=f"V{_SIZE}")
    seen: dict[str, bytes] = {}
    for i in np.flatnonzero(shared):
        ref = refs[i]
        assert ref is not None
        name = "" if ref.path is None else str(ref.path)
        try:
            hashed = seen.get(name) or digest(ref.read())
        except OSError:
            shared[i] = False
            continue
        if name:
            seen[name] = hashed
        hashes[i] = np.void(hashed)
    return hashes, shared


def _size(ref: ImageRef | None) -> int:
    if ref is None:
        return 0
    if ref.data is not None:
        return len(ref.data)
    try:
        return ref.path.stat().st_size if ref.path is not None else 0
    except (OSError, ValueError):
        return 0


class Union:
    """Union-find over n rows; the root of a set is its smallest member."""

    def __init__(self, n: int) -> None:
        self.parent = np.arange(n, dtype=np.int64)

    def find(self, i: int) -> int:
        """The smallest member of i's set."""
        root = i
        while self.parent[root] != root:
            root = int(self.parent[root])
        while self.parent[i] != root:
            self.parent[i], i = root, int(self.parent[i])
        return root

    def join(self, a: int, b: int) -> None:
        """Make one set of a's and b's."""
        a, b = self.find(a), self.find(b)
        self.parent[max(a, b)] = min(a, b)

    def join_equal(self, values: np.ndarray, where: np.ndarray) -> None:
        """Join all rows (where the mask is true) that have equal values."""
        rows = np.flatnonzero(where)
        if not len(rows):
            return
        _, first, inverse = np.unique(values[rows], return_index=True, return_inverse=True)
        for row, other in zip(rows, rows[first][inverse], strict=True):
            if row != other:
                self.join(int(row), int(other))

    def roots(self) -> np.ndarray:
        """(n,) each row's root."""
        return np.array([self.find(i) for i in range(len(self.parent))], dtype=np.int64)
