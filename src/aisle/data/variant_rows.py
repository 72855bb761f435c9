"""Fills rows of variants and further images, which repeat a product's handle and leave other cells blank.

In Shopify exports, only the first row of a product has title, description and category.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from aisle.data import column_parsers
from aisle.data.column_names import rank
from aisle.data.columns import Columns
from aisle.data.records import Records, SpillBuffer


def fill_variants(records: Records, columns: Columns) -> Records:
    """Fill blank text and label cells of rows that repeat a handle from its first row."""
    if not _has_variants(columns):
        return records
    buffer = SpillBuffer()
    for batch in fill_batches(records.batches, columns):
        buffer.add(batch)
    return buffer.records()


def _has_variants(columns: Columns) -> bool:
    """Whether the group column is a handle, whose name would otherwise be that of an id."""
    handle = columns.group is not None and rank("id", columns.group) is not None
    return handle and columns.title is not None


def fill_batches(batches: Iterable[pa.RecordBatch], columns: Columns) -> Iterator[pa.RecordBatch]:
    """Fill batches like `fill_variants`.

    A row is filled if it repeats the handle of the previous row and has no title.
    """
    if not _has_variants(columns):
        yield from batches
        return
    names = {*columns.text.values(), *columns.label}
    first: pa.RecordBatch | None = None  # the first row of the last product
    for batch in batches:
        if columns.group not in batch.schema.names or columns.title not in batch.schema.names:
            first = None
            yield batch
            continue
        if first is not None and first.schema != batch.schema:
            first = None
        skip = 0 if first is None else 1
        rows = pa.Table.from_batches([batch] if first is None else [first, batch]).combine_chunks()
        source = _sources(rows, columns)
        repeats = source < np.arange(len(source))
        arrays = []
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            cells = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            if name in names and repeats.any():
                blank = repeats & ~column_parsers.filled(cells)
                cells = cells.take(pa.array(np.where(blank, source, np.arange(len(source)))))
            arrays.append(cells)
        filled = pa.RecordBatch.from_arrays(arrays, schema=rows.schema)
        if len(source):
            first = filled.slice(int(source[-1]), 1)
        yield filled.slice(skip)


def _sources(rows: pa.Table, columns: Columns) -> np.ndarray:
    """(n,) position of the first row of each row's product."""
    assert columns.group is not None
    assert columns.title is not None
    handles = rows.column(columns.group).to_pylist()
    titled = column_parsers.filled(rows.column(columns.title).combine_chunks())
    source = np.arange(len(handles))
    for i in range(1, len(handles)):
        if handles[i] and handles[i] == handles[i - 1] and not titled[i]:
            source[i] = source[i - 1]
    return source
