"""Segment of an index: rows in one immutable, memory-mapped Arrow file; large ones with inverted lists."""

import os
import uuid
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as _compute

from aisle.search.bm25 import Bm25Index
from aisle.search.filters import And, Condition, FieldTest, Not, Or
from aisle.search.ivf import InvertedLists, arrange

pc: Any = _compute  # its functions are created at import, unknown to type checkers
LISTED = 50_000  # rows of a segment from which on it has inverted lists
PROBED = 12  # lists that a query scans
_FEW = 0.05  # share of rows that pass a filter, up to which all of them are compared
_FILTERS = 64  # filters whose masks are cached


class Segment:
    """n rows of an index, with vectors of width D.

    Args:
        folder: Folder of the index.
        name: Name of the segment's files, without the ending.

    Attributes:
        table: Its rows.
        lists: Inverted lists of its vectors; None: every vector is compared.

    Raises:
        OSError, pa.ArrowInvalid, ValueError: Its files are missing or damaged.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.table = pa.ipc.open_file(pa.memory_map(str(folder / f"{name}.arrow"))).read_all()
        lists_file = folder / f"{name}.lists.npz"
        self.lists: InvertedLists | None = None
        if lists_file.exists():
            with np.load(lists_file, allow_pickle=False) as arrays:
                self.lists = InvertedLists(arrays["centroids"], arrays["starts"])
        self._masks: dict[Condition, np.ndarray] = {}

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def vectors(self) -> np.ndarray:
        """(n, D) float32, mapped from the file."""
        column = _chunk(self.table, "vector")
        return column.flatten().to_numpy().reshape(len(self), column.type.list_size)

    @cached_property
    def words(self) -> Bm25Index:
        """BM25 index of its texts."""
        column = _chunk(self.table, "words")
        return Bm25Index(column.flatten().to_numpy(), column.offsets.to_numpy().astype(np.int64))

    @cached_property
    def seen(self) -> np.ndarray:
        """(n,) bool: rows with a vector."""
        if self.lists is None:
            return np.asarray(self.vectors.any(1))
        blocks = range(0, len(self), 8192)  # the mapped file may be larger than memory
        return np.concatenate([np.asarray(self.vectors[i : i + 8192].any(1)) for i in blocks])

    def find(self, ids: list[str]) -> np.ndarray:
        """Rows with one of these ids, in order."""
        mask = pc.is_in(self.table.column("id"), value_set=pa.array(ids, pa.string()))
        return np.flatnonzero(mask.to_numpy(zero_copy_only=False))

    def nearest(
        self, vector: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the k rows with the highest cosines to a vector.

        Args:
            vector: (D,) of length 1.
            k: Number of rows.
            allowed: (n,) bool, rows to search; None: all.

        Returns:
            Rows and their cosines, at most k of each, unsorted.
        """
        if allowed is not None:
            rows = np.flatnonzero(allowed)
            if len(rows) <= max(_FEW * len(self), 10 * k):
                return _best(rows, self.vectors[rows] @ vector, k)
        if self.lists is None:
            scores = self.vectors @ vector
            return _best(*_among(np.arange(len(self)), scores, allowed), k)
        rows, scores = self._probe(self.lists, vector, PROBED, allowed)
        if allowed is not None and len(rows) < k:
            rows, scores = self._probe(self.lists, vector, len(self.lists.centroids), allowed)
        return _best(rows, scores, k)

    def _probe(
        self, lists: InvertedLists, vector: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        bounds = [(int(lists.starts[c]), int(lists.starts[c + 1])) for c in lists.nearest(vector, count)]
        rows = np.concatenate([np.arange(start, stop) for start, stop in bounds])
        scores = np.concatenate([self.vectors[start:stop] @ vector for start, stop in bounds])
        return _among(rows, scores, allowed)

    def filter_mask(self, where: Condition) -> np.ndarray:
        """(n,) bool: rows that pass a filter."""
        mask = self._masks.get(where)
        if mask is None:
            passed = pc.fill_null(_mask(where, self.table), False)
            mask = np.asarray(passed.to_numpy(zero_copy_only=False))
            while len(self._masks) >= _FILTERS:
                self._masks.pop(next(iter(self._masks)))
            self._masks[where] = mask
        return mask


def _chunk(table: pa.Table, name: str) -> Any:
    """A column as one Arrow array; not copied if it is one chunk, as in a segment's file."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def write_segment(folder: Path, table: pa.Table) -> str:
    """Write a segment's files and sync them to disk, before a manifest names the segment.

    Args:
        folder: Folder of the index.
        table: Its rows.

    Returns:
        Name of the segment.
    """
    name = f"rows-{uuid.uuid4().hex[:12]}"
    if table.num_rows >= LISTED:
        column = table.column("vector").combine_chunks()
        vectors = column.flatten().to_numpy().reshape(len(column), -1)
        lists, order = arrange(vectors)
        table = table.take(order)
        with (folder / f"{name}.lists.npz").open("wb") as handle:
            np.savez(handle, centroids=lists.centroids, starts=lists.starts)
            handle.flush()
            os.fsync(handle.fileno())
    frame = table.combine_chunks()
    with (folder / f"{name}.arrow").open("wb") as handle:
        with pa.ipc.new_file(handle, frame.schema) as writer:
            # One batch, so that the vectors are one array.
            for batch in frame.to_batches() or [pa.RecordBatch.from_pylist([], frame.schema)]:
                writer.write_batch(batch)
        handle.flush()
        os.fsync(handle.fileno())
    return name


def _among(rows: np.ndarray, scores: np.ndarray, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if allowed is None:
        return rows, scores
    kept = allowed[rows]
    return rows[kept], scores[kept]


def _best(rows: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    if len(rows) > k:
        top = np.argpartition(-scores, k - 1)[:k]
        rows, scores = rows[top], scores[top]
    return rows, scores


def _mask(condition: Condition, table: pa.Table) -> Any:
    """Result of a filter as Arrow booleans; null where a value is missing (Kleene logic)."""
    if isinstance(condition, Not):
        return pc.invert(_mask(condition.part, table))
    if isinstance(condition, And):
        return reduce(pc.and_kleene, (_mask(part, table) for part in condition.parts))
    if isinstance(condition, Or):
        return reduce(pc.or_kleene, (_mask(part, table) for part in condition.parts))
    return _comparison(condition, _chunk(table, condition.column.key), table)


def _comparison(test: FieldTest, field: Any, table: pa.Table) -> Any:
    if test.operator == "missing":
        return pc.is_null(field)
    if test.operator == "in":
        is_member = pc.is_in(field, value_set=pa.array(test.values, field.type))
        return pc.if_else(pc.is_valid(field), is_member, None)
    value = pa.scalar(test.values[0], field.type)
    if test.operator == "under":
        prefixes = _chunk(table, "category_prefixes")
        under = np.zeros(len(prefixes), bool)
        matches = pc.equal(prefixes.flatten(), value)
        under[pc.list_parent_indices(prefixes).filter(matches).to_numpy()] = True
        return pa.array(under)
    if test.operator == "contains":
        return pc.match_substring(field, value.as_py())
    return _COMPARISONS[test.operator](field, value)


_COMPARISONS: dict[str, Any] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
