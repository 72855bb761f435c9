"""A part of an index's rows in one immutable Arrow file: mapped, not read; large ones with lists beside."""

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

pc: Any = _compute  # its functions are made at run time, unknown to type checkers
LISTED = 50_000  # rows from which on vectors are kept in lists; fewer are compared one by one
PROBED = 12  # lists looked into
_FEW = 0.05  # share of rows up to which those that a filter keeps are compared one by one
_FILTERS = 64  # filters whose rows are remembered


class Segment:
    """n rows. lists: None where every vector is compared.

    Raises:
        OSError, pa.ArrowInvalid, ValueError: its files are tombstones or damaged.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.table = pa.ipc.open_file(pa.memory_map(str(folder / f"{name}.arrow"))).read_all()
        beside = folder / f"{name}.lists.npz"
        self.lists: InvertedLists | None = None
        if beside.exists():
            with np.load(beside, allow_pickle=False) as kept:
                self.lists = InvertedLists(kept["centroids"], kept["starts"])
        self._masks: dict[Condition, np.ndarray] = {}

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def vectors(self) -> np.ndarray:
        """(n, D) float32, where they lie in the file."""
        column = _piece(self.table, "vector")
        return column.flatten().to_numpy().reshape(len(self), column.type.list_size)

    @cached_property
    def words(self) -> Bm25Index:
        """Its texts, found by word."""
        column = _piece(self.table, "words")
        return Bm25Index(column.flatten().to_numpy(), column.offsets.to_numpy().astype(np.int64))

    @cached_property
    def seen(self) -> np.ndarray:
        """(n,) bool: rows with a vector."""
        if self.lists is None:
            return np.asarray(self.vectors.any(1))
        blocks = range(0, len(self), 8192)  # a mapped file need not be in memory whole
        return np.concatenate([np.asarray(self.vectors[i : i + 8192].any(1)) for i in blocks])

    def find(self, ids: list[str]) -> np.ndarray:
        """The rows of those of these ids that are here."""
        mask = pc.is_in(self.table.column("id"), value_set=pa.array(ids, pa.string()))
        return np.flatnonzero(mask.to_numpy(zero_copy_only=False))

    def nearest(
        self, vector: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows with the highest cosines to a vector (D,), in no order, and these. allowed: (n,) bool,
        those to look among; None: all."""
        if allowed is not None:
            rows = np.flatnonzero(allowed)
            if len(rows) <= max(_FEW * len(self), 10 * k):
                return _best(rows, self.vectors[rows] @ vector, k)
        if self.lists is None:
            scores = self.vectors @ vector
            return _best(*_among(np.arange(len(self)), scores, allowed), k)
        found = self._probe(self.lists, vector, PROBED, allowed)
        if allowed is not None and len(found[0]) < k:
            found = self._probe(self.lists, vector, len(self.lists.centroids), allowed)
        return _best(*found, k)

    def _probe(
        self, lists: InvertedLists, vector: np.ndarray, most: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        bounds = [(int(lists.starts[c]), int(lists.starts[c + 1])) for c in lists.nearest(vector, most)]
        rows = np.concatenate([np.arange(start, stop) for start, stop in bounds])
        scores = np.concatenate([self.vectors[start:stop] @ vector for start, stop in bounds])
        return _among(rows, scores, allowed)

    def filter_mask(self, where: Condition) -> np.ndarray:
        """(n,) bool: the rows that a filter lets through."""
        found = self._masks.get(where)
        if found is None:
            mask = pc.fill_null(_mask(where, self.table), False)
            found = np.asarray(mask.to_numpy(zero_copy_only=False))
            while len(self._masks) >= _FILTERS:
                self._masks.pop(next(iter(self._masks)))
            self._masks[where] = found
        return found


def _piece(table: pa.Table, name: str) -> Any:
    """A column of a segment as the one piece it was written as: joining pieces would copy it."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def write_segment(folder: Path, table: pa.Table) -> str:
    """A segment's files, whole and on disk before anything names them. Returns its name."""
    name = f"rows-{uuid.uuid4().hex[:12]}"
    if table.num_rows >= LISTED:
        column = table.column("vector").combine_chunks()
        vectors = column.flatten().to_numpy().reshape(len(column), -1)
        lists, order = arrange(vectors)
        table = table.take(order)
        with (folder / f"{name}.lists.npz").open("wb") as beside:
            np.savez(beside, centroids=lists.centroids, starts=lists.starts)
            beside.flush()
            os.fsync(beside.fileno())
    frame = table.combine_chunks()
    with (folder / f"{name}.arrow").open("wb") as handle:
        with pa.ipc.new_file(handle, frame.schema) as writer:
            # One batch, so that the vectors are one piece of memory.
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
        some = np.argpartition(-scores, k - 1)[:k]
        rows, scores = rows[some], scores[some]
    return rows, scores


def _mask(condition: Condition, table: pa.Table) -> Any:
    """A filter's result as Arrow booleans; null where a missing value is compared (Kleene logic)."""
    if isinstance(condition, Not):
        return pc.invert(_mask(condition.part, table))
    if isinstance(condition, And):
        return reduce(pc.and_kleene, (_mask(part, table) for part in condition.parts))
    if isinstance(condition, Or):
        return reduce(pc.or_kleene, (_mask(part, table) for part in condition.parts))
    return _comparison(condition, _piece(table, condition.column.key), table)


def _comparison(test: FieldTest, field: Any, table: pa.Table) -> Any:
    if test.operator == "missing":
        return pc.is_null(field)
    if test.operator == "in":
        found = pc.is_in(field, value_set=pa.array(test.values, field.type))
        return pc.if_else(pc.is_valid(field), found, None)
    value = pa.scalar(test.values[0], field.type)
    if test.operator == "under":
        places = _piece(table, "category_prefixes")
        under = np.zeros(len(places), bool)
        under[pc.list_parent_indices(places).filter(pc.equal(places.flatten(), value)).to_numpy()] = True
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
