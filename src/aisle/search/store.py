"""The rows of an index: segments, and tombstones for their deleted rows.

Writing the manifest commits a version, so readers see the old version or the new one. A killed writer leaves
files that no version names; the next write removes them.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from aisle.errors import SearchError
from aisle.search.bm25 import score_all
from aisle.search.filters import Condition
from aisle.search.manifest import MANIFEST, IndexVersion, Manifest, SegmentRef, read_manifest, write_manifest
from aisle.search.rows import latest_of_each
from aisle.search.segment import Segment, write_segment

KEPT = 5  # versions that can be opened
MAX_SEGMENT_ROWS = 250_000  # rows of a segment; they are held in memory while it is written


class WordMatch(NamedTuple):
    """A row, its BM25 score, and the share of the query's idf whose words it has."""

    row: int
    score: float
    coverage: float


class ScoredRow(NamedTuple):
    """A row and its score.

    Attributes:
        row: Number of the row in its version.
        score: Cosine, or BM25 score.
    """

    row: int
    score: float


class StoredRow(NamedTuple):
    """The stored values of a product that hits show.

    Attributes:
        id: Id of the product.
        fields: Text of each field, as JSON.
        category: Path of its category.
        image_path: Path of its first image.
        image_data: Bytes of a thumbnail, for an image without a file.
    """

    id: str
    fields: str
    category: str | None
    image_path: str | None
    image_data: bytes | None


class IndexStore:
    """One version of the rows of an index, numbered across its segments.

    Args:
        folder: Folder of the index.
        manifest: Its manifest.
        version: Number of the version; None: the newest.
        known: Open segments to reuse, by name.

    Raises:
        SearchError: There is no such version.
        OSError, pa.ArrowInvalid, ValueError: Its files are missing or damaged.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        version: int | None = None,
        known: "dict[str, Segment] | None" = None,
    ) -> None:
        self.folder, self.manifest = folder, manifest
        numbers = {v.number: v for v in manifest.versions}
        number = numbers.get(version) if version is not None else manifest.versions[-1]
        if number is None:
            raise SearchError(f"{folder} has no version {version}; it keeps {', '.join(map(str, numbers))}")
        self.version = number
        open_ones = known or {}
        self.segments = [open_ones.get(part.name) or Segment(folder, part.name) for part in number.parts]
        self._tombstones = [
            np.load(folder / p.tombstones) if p.tombstones else np.zeros(0, np.int64) for p in number.parts
        ]
        self._first = np.cumsum([0, *map(len, self.segments)])

    def __len__(self) -> int:
        return self.version.rows

    @classmethod
    def open(
        cls, folder: Path, version: int | None = None, known: "dict[str, Segment] | None" = None
    ) -> "IndexStore":
        """Open a version of an index.

        Args:
            folder: Folder of the index.
            version: Number of the version; None: the newest.
            known: Open segments to reuse, by name.

        Raises:
            SearchError: There is no index or no such version, or its files are missing or damaged.
        """
        for trial in range(5):
            stamp = _stamp(folder)
            manifest = read_manifest(folder)
            try:
                store = cls(folder, manifest, version, known)
            except (OSError, pa.ArrowInvalid, ValueError) as error:
                # A writer may have dropped that version since its manifest was read.
                if trial == 4 or read_manifest(folder) == manifest:
                    raise SearchError(f"{folder} is damaged ({error}): index again") from error
                continue
            store._seen = stamp
            return store
        raise AssertionError

    _seen: tuple[int, int] = (0, 0)

    def latest(self) -> "IndexStore":
        """The newest version; this store if nothing was written since."""
        if _stamp(self.folder) == self._seen:
            return self
        return IndexStore.open(self.folder, known={segment.name: segment for segment in self.segments})

    # -- search -------------------------------------------------------------------------------

    def nearest(self, vector: np.ndarray, k: int, where: Condition | None = None) -> list[ScoredRow]:
        """Find the k rows with the highest cosines to a vector (D,) of length 1, best first."""
        query = np.ascontiguousarray(vector, np.float32)
        parts = [
            segment.nearest(query, k, self._allowed(i, where)) for i, segment in enumerate(self.segments)
        ]
        return self._best(parts, k)

    def matching(self, text: str, k: int, where: Condition | None = None) -> list[WordMatch]:
        """Find the k rows with the highest BM25 scores above 0, best first."""
        parts, covered = [], []
        for i, (scores, share) in enumerate(score_all([segment.words for segment in self.segments], text)):
            allowed = (
                self._alive[i] if where is None else self._alive[i] & self.segments[i].filter_mask(where)
            )
            rows = np.flatnonzero((scores > 0) & allowed)
            parts.append((rows, scores[rows]))
            covered.append(share)
        coverage = np.concatenate(covered) if covered else np.zeros(0)
        return [WordMatch(row, score, float(coverage[row])) for row, score in self._best(parts, k)]

    def _best(self, parts: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> list[ScoredRow]:
        if not parts:
            return []
        rows = np.concatenate([part + first for (part, _), first in zip(parts, self._first, strict=False)])
        scores = np.concatenate([scores for _, scores in parts])
        order = np.lexsort((rows, -scores))[:k]
        return [ScoredRow(int(rows[i]), float(scores[i])) for i in order]

    def _allowed(self, i: int, where: Condition | None) -> np.ndarray | None:
        """(n,) bool, rows of a segment that a search by vectors may return; None: all."""
        if where is not None:
            return self._searchable[i] & self.segments[i].filter_mask(where)
        return None if self._whole[i] else self._searchable[i]

    @cached_property
    def _alive(self) -> list[np.ndarray]:
        masks = [np.ones(len(segment), bool) for segment in self.segments]
        for mask, tombstones in zip(masks, self._tombstones, strict=True):
            mask[tombstones] = False
        return masks

    @cached_property
    def _searchable(self) -> list[np.ndarray]:
        return [a & segment.seen for a, segment in zip(self._alive, self.segments, strict=True)]

    @cached_property
    def _whole(self) -> list[bool]:
        return [bool(mask.all()) for mask in self._searchable]

    # -- lookup -------------------------------------------------------------------------------

    def rows(self, rows: Iterable[int]) -> dict[int, StoredRow]:
        """Stored values of rows, by row number."""
        return {row: self._row(row) for row in rows}

    def find(self, product: str) -> int | None:
        """Row of a product by its id; None if there is none."""
        for first, segment, alive in zip(self._first, self.segments, self._alive, strict=False):
            for row in segment.find([product]):
                if alive[row]:
                    return int(first + row)
        return None

    def vector(self, row: int) -> np.ndarray:
        """Vector of a row, (D,)."""
        i = int(np.searchsorted(self._first, row, side="right")) - 1
        return np.array(self.segments[i].vectors[row - self._first[i]])

    def cosines(self, vector: np.ndarray, rows: Sequence[int]) -> list[ScoredRow]:
        """Cosines of rows with a vector (D,) of length 1; rows without a vector are left out."""
        pairs = ((row, self.vector(row)) for row in rows)
        return [ScoredRow(row, float(stored @ vector)) for row, stored in pairs if stored.any()]

    def _row(self, row: int) -> StoredRow:
        i = int(np.searchsorted(self._first, row, side="right")) - 1
        table, position = self.segments[i].table, int(row - self._first[i])
        return StoredRow(*(table.column(name)[position].as_py() for name in StoredRow._fields))

    def matches(self, where: Condition) -> int:
        """Number of rows that pass a filter."""
        pairs = zip(self.segments, self._alive, strict=True)
        return sum(int((alive & segment.filter_mask(where)).sum()) for segment, alive in pairs)

    def category_paths(self) -> set[str]:
        """Paths of all categories, casefolded."""
        columns = [segment.table.column("category_key").unique().to_pylist() for segment in self.segments]
        return {key for column in columns for key in column if key}

    # -- writes: new files, then the manifest; call these inside `writing` ---------------------

    def add(self, rows: Iterable[pa.Table]) -> "IndexStore":
        """Add rows, and replace those with the same ids.

        The newest segments are merged until the one before is larger, so that their number stays small.
        """
        new = latest_of_each(pa.concat_tables([self.segments[0].table.slice(0, 0), *rows]))
        tombstones = self._with_tombstones(new.column("id").to_pylist())
        kept = list(zip(self.segments, tombstones, self.version.parts, strict=True))
        merged = [new]
        while kept and row_count(merged) + len(kept[-1][0]) <= MAX_SEGMENT_ROWS:
            segment, dead, _ = kept[-1]
            if len(segment) - len(dead) > row_count(merged):
                break
            merged.insert(0, segment.table.take(np.setdiff1d(np.arange(len(segment)), dead)))
            kept.pop()
        parts = [self._part(segment, dead, part) for segment, dead, part in kept]
        table = pa.concat_tables(merged)
        name = write_segment(self.folder, table)
        return self._commit([*parts, SegmentRef(name, table.num_rows)])

    def delete(self, ids: Iterable[str]) -> "IndexStore":
        """Delete products by their ids; unknown ids are ignored."""
        tombstones = self._with_tombstones(list(ids))
        triples = zip(self.segments, tombstones, self.version.parts, strict=True)
        return self._commit([self._part(segment, dead, part) for segment, dead, part in triples])

    def _with_tombstones(self, ids: list[str]) -> list[np.ndarray]:
        pairs = zip(self.segments, self._tombstones, strict=True)
        return [np.union1d(tombstones, segment.find(ids)) for segment, tombstones in pairs]

    def _part(self, segment: Segment, tombstones: np.ndarray, part: SegmentRef) -> SegmentRef:
        rows = len(segment) - len(tombstones)
        if rows == part.rows:
            return part
        name = f"tombstones-{uuid.uuid4().hex[:12]}.npy"
        np.save(self.folder / name, tombstones.astype(np.int64))
        return SegmentRef(part.name, rows, name)

    def _commit(self, parts: list[SegmentRef]) -> "IndexStore":
        version = new_version(self.version.number + 1, parts)
        versions = (*self.manifest.versions, version)[-KEPT:]
        write_manifest(self.folder, replace(self.manifest, versions=versions))
        sweep(self.folder, versions)
        return IndexStore.open(self.folder, known={segment.name: segment for segment in self.segments})


def row_count(tables: Sequence[pa.Table]) -> int:
    """Total number of rows of several tables."""
    return sum(table.num_rows for table in tables)


def create(
    folder: Path, manifest: Manifest, tables: Iterable[pa.Table], segment_rows: int = MAX_SEGMENT_ROWS
) -> None:
    """Write the first version of an index.

    Args:
        folder: Folder of the index.
        manifest: Its manifest, without versions.
        tables: The rows; of those with the same id the last one is kept.
        segment_rows: Rows after which a segment is written.
    """
    parts: list[SegmentRef] = []
    pending: list[pa.Table] = []
    for table in tables:
        pending.append(table)
        if row_count(pending) >= segment_rows:
            parts.append(_first(folder, pending))
            pending = []
    if pending or not parts:
        parts.append(_first(folder, pending))
    manifest = replace(manifest, versions=(new_version(1, parts),))
    write_manifest(folder, manifest)
    _drop_replaced(folder)


def _first(folder: Path, tables: list[pa.Table]) -> SegmentRef:
    table = latest_of_each(pa.concat_tables(tables))
    return SegmentRef(write_segment(folder, table), table.num_rows)


def _drop_replaced(folder: Path) -> None:
    """Delete all but the last row of each product that is in several segments."""
    store = IndexStore.open(folder)
    later: set[str] = set()
    parts = []
    for segment, part in reversed(list(zip(store.segments, store.version.parts, strict=True))):
        tombstones = segment.find(list(later)) if later else np.zeros(0, np.int64)
        parts.insert(0, store._part(segment, tombstones, part))
        later.update(segment.table.column("id").to_pylist())
    if parts != list(store.version.parts):
        write_manifest(folder, replace(store.manifest, versions=(new_version(1, parts),)))


def new_version(number: int, parts: Sequence[SegmentRef]) -> IndexVersion:
    """A version with the current time."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return IndexVersion(number, sum(part.rows for part in parts), created, tuple(parts))


def sweep(folder: Path, versions: Sequence[IndexVersion]) -> None:
    """Remove the files that no version names; readers that have one mapped keep it.

    Args:
        folder: Folder of the index.
        versions: Versions to keep.
    """
    in_use = {part.name for version in versions for part in version.parts}
    in_use |= {part.tombstones for version in versions for part in version.parts}
    for file in [*folder.glob("rows-*"), *folder.glob("tombstones-*.npy")]:
        if file.name not in in_use and file.name.split(".")[0] not in in_use:
            file.unlink(missing_ok=True)


def _stamp(folder: Path) -> tuple[int, int]:
    try:
        stat = (folder / MANIFEST).stat()
    except OSError:  # a writer is replacing it
        return (0, 0)
    return stat.st_ino, stat.st_mtime_ns
