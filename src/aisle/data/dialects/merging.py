"""Makes one record of the rows of a product."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from aisle.data.column_parsers import filled
from aisle.data.dialects.grouping import RowGroups
from aisle.data.records import Records

BLOCK = 8192  # rows that are merged at once, approximately
_JOINT = ", "


def merge_rows(
    records: Records, groups: RowGroups, collect: Sequence[str], joined: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """One record per product: of each column, the first cell that is not blank.

    Args:
        records: The rows.
        groups: The rows of each product.
        collect: Columns whose distinct values are joined by commas.
        joined: Columns whose cells become lists of the cells of all rows.
    """
    products = len(groups.starts) - 1
    start = 0
    while start < products:
        stop = int(np.searchsorted(groups.starts, groups.starts[start] + BLOCK, side="right")) - 1
        stop = min(max(stop, start + 1), products)
        rows = groups.order[groups.starts[start] : groups.starts[stop]]
        starts = groups.starts[start : stop + 1] - groups.starts[start]
        yield _merge(records.take(rows), starts, set(collect), set(joined))
        start = stop


def _merge(batch: pa.RecordBatch, starts: np.ndarray, collect: set[str], joined: set[str]) -> pa.RecordBatch:
    """Merge the rows between each two `starts`."""
    if len(starts) == batch.num_rows + 1 and not joined:
        return batch
    columns = []
    for name, cells in zip(batch.schema.names, batch.columns, strict=True):
        if name in joined:
            offsets = pa.array(starts, pa.int32())
            columns.append(pa.ListArray.from_arrays(offsets, cells))
        elif name in collect and len(starts) < batch.num_rows + 1:
            columns.append(_distinct(cells, starts))
        else:
            columns.append(_first(cells, starts))
    return pa.record_batch(columns, names=batch.schema.names)


def _first(cells: pa.Array, starts: np.ndarray) -> pa.Array:
    """The first cell of each product that is not blank."""
    n = len(cells)
    position = np.where(filled(cells), np.arange(n), n)
    first = np.minimum.reduceat(position, starts[:-1])
    return cells.take(pa.array(np.where(first < n, first, starts[:-1])))


def _distinct(cells: pa.Array, starts: np.ndarray) -> pa.Array:
    """The distinct values of each product, joined."""
    texts = [(text or "").strip() for text in cells.to_pylist()]
    values_ = (
        _JOINT.join(dict.fromkeys(text for text in texts[start:stop] if text))
        for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    )
    return pa.array(list(values_), pa.string())
