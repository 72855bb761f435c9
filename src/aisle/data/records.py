"""Raw records, stored as Arrow batches: in memory while small, memory-mapped from disk when large."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

BATCH = 16_384  # records of a batch at most
_PYTHON_BYTES = 16 * 2**20  # of Arrow data that become Python values at once
_MEMORY_LIMIT = 64 * 2**20  # bytes; further records go to disk


class _TemporaryFolder:
    """A temporary folder that is deleted with the last catalog that reads from it, or at exit."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="aisle-"))
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class SpillBuffer:
    """A buffer of record batches that spills to disk.

    Beyond `limit`, batches are written to a temporary Arrow file and memory-mapped, so that memory does not
    grow with the catalog. A batch with other columns than the last one opens a new file.

    Args:
        limit: Bytes that are kept in memory. Default: 64 MiB.
    """

    def __init__(self, limit: int = _MEMORY_LIMIT) -> None:
        self._limit = limit
        self._batches: list[pa.RecordBatch] = []
        self._bytes = 0
        self._folder: _TemporaryFolder | None = None
        self._writer: Any = None
        self._schema: pa.Schema | None = None
        self._paths: list[Path] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Append one batch."""
        if self._folder is None and self._bytes + batch.nbytes <= self._limit:
            self._batches.append(batch)
            self._bytes += batch.nbytes
            return
        if self._folder is None:
            self._folder = _TemporaryFolder()
            for earlier in self._batches:
                self._write(earlier)
            self._batches.clear()
        self._write(batch)

    def _write(self, batch: pa.RecordBatch) -> None:
        assert self._folder is not None
        if self._writer is None or batch.schema != self._schema:
            self._close()
            path = self._folder.path / f"{len(self._paths)}.arrow"
            self._paths.append(path)
            self._schema = batch.schema
            self._writer = pa.ipc.new_file(str(path), batch.schema)
        self._writer.write_batch(batch)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def records(self) -> "Records":
        """All records, in order."""
        self._close()
        if self._folder is None:
            return Records(self._batches)
        batches: list[pa.RecordBatch] = []
        for path in self._paths:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            batches += [reader.get_batch(i) for i in range(reader.num_record_batches)]
        return Records(batches, self._folder)


class Records:
    """n raw records in Arrow batches; a column that a batch lacks is null there.

    Args:
        batches: The batches.
        keep: An object that must live as long as the records, such as the folder they are mapped from.
    """

    def __init__(self, batches: Sequence[pa.RecordBatch], keep: object = None) -> None:
        self.batches = tuple(batch for batch in batches if batch.num_rows)
        self._keep = keep
        self._stops = np.cumsum([batch.num_rows for batch in self.batches], dtype=np.int64)
        types: dict[str, pa.DataType] = {}
        for batch in batches:
            for field in batch.schema:
                if field.name not in types or pa.types.is_null(types[field.name]):
                    types[field.name] = field.type
        self.types = types

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_keep": None}  # pickled batches are copies and need no folder

    def __len__(self) -> int:
        return int(self._stops[-1]) if len(self._stops) else 0

    def map_batches(self, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> "Records":
        """The records with `change` applied to each batch."""
        return Records([change(batch) for batch in self.batches], self._keep)

    @property
    def names(self) -> list[str]:
        """The columns, in the order in which they first occur."""
        return list(self.types)

    def row(self, i: int) -> dict[str, Any]:
        """One record as Python values."""
        b = int(np.searchsorted(self._stops, i, side="right"))
        batch = self.batches[b]
        j = i - (int(self._stops[b]) - batch.num_rows)
        return {name: batch.column(k)[j].as_py() for k, name in enumerate(batch.schema.names)}

    def rows(self, names: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Iterate over the records as Python values. Default: all columns."""
        for batch in self.batches:
            if names is not None:
                batch = batch.select([name for name in names if batch.schema.get_field_index(name) >= 0])
            if not batch.num_columns:
                yield from ({} for _ in range(batch.num_rows))
                continue
            step = max(1, min(1024, _PYTHON_BYTES * batch.num_rows // (batch.nbytes + 1)))
            for start in range(0, batch.num_rows, step):
                yield from batch.slice(start, step).to_pylist()

    def take(self, rows: np.ndarray) -> pa.RecordBatch:
        """The records at these positions, in this order; one batch with all columns."""
        numbers = np.searchsorted(self._stops, rows, side="right")
        order = np.argsort(numbers, kind="stable")
        schema = pa.schema(list(self.types.items()))
        tables = [pa.Table.from_batches([], schema)]
        for b in np.unique(numbers):
            batch, start = self.batches[b], int(self._stops[b]) - self.batches[b].num_rows
            piece = batch.take(pa.array(rows[order[numbers[order] == b]] - start))
            tables.append(pa.Table.from_batches([piece]))
        table = pa.concat_tables(tables, promote_options="permissive").select(list(self.types))
        if not (order[:-1] < order[1:]).all():
            inverse = np.empty(len(order), np.int64)
            inverse[order] = np.arange(len(order))
            table = table.take(pa.array(inverse))
        return (
            table.combine_chunks().to_batches()[0] if len(table) else pa.RecordBatch.from_pylist([], schema)
        )

    def repeat(self, positions: np.ndarray | None) -> "Records":
        """The records at these positions; None: as they are."""
        return self if positions is None else Records([self.take(positions)])

    def column(self, name: str) -> Iterator[pa.Array]:
        """The cells of one column, one array per batch."""
        for batch in self.batches:
            k = batch.schema.get_field_index(name)
            yield batch.column(k) if k >= 0 else pa.nulls(batch.num_rows, self.types[name])

    def table(self) -> pa.Table:
        """One Arrow table that shares the memory."""
        if not self.batches:
            return pa.table({name: pa.array([], kind) for name, kind in self.types.items()})
        tables = [pa.Table.from_batches([batch]) for batch in self.batches]
        return pa.concat_tables(tables, promote_options="default").select(self.names)


def spill(batches: Iterable[pa.RecordBatch]) -> Records:
    """Records of batches, in memory while small and on disk when large."""
    buffer = SpillBuffer()
    for batch in batches:
        buffer.add(batch)
    return buffer.records()
