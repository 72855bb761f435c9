"""Sets cells of a Parquet file; its other columns, their types and the row groups stay as they are."""

from collections.abc import Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from aisle.data.files import TableFile
from aisle.data.readers.base import ReadOptions
from aisle.data.rewriting.edits import CellEditor, RewriteSummary


def rewrite_parquet(
    table: TableFile,
    out: BinaryIO,
    editor: CellEditor,
    options: ReadOptions = ReadOptions(),  # noqa: B008
) -> RewriteSummary:
    """Copy a Parquet file and set cells of text columns; a column of another type becomes text.

    Args:
        table: The file.
        out: Receives the new file.
        editor: Gives the new cells.
        options: How the file is read.
    """
    summary, writer = RewriteSummary(), None
    with table.open() as file, pq.ParquetFile(pa.PythonFile(file, "r")) as source:
        for number in range(source.num_row_groups):
            group = _edited(source.read_row_group(number), editor, summary)
            writer = writer or pq.ParquetWriter(out, group.schema)
            writer.write_table(group, max(group.num_rows, 1))
        if writer is None:
            empty = _edited(source.schema_arrow.empty_table(), editor, summary)
            writer = pq.ParquetWriter(out, empty.schema)
        writer.close()
    return summary


def _edited(group: pa.Table, editor: CellEditor, summary: RewriteSummary) -> pa.Table:
    texts = [_texts(group, name) for name in editor.columns]
    old = list(zip(*texts, strict=True))
    new = [list(editor(summary.rows + i, cells)) for i, cells in enumerate(old)]
    summary.rows += len(old)
    summary.changed += sum(cells[0] is not None for cells in new)
    for k, name in enumerate(editor.columns):
        cells = [b[k] if b[k] is not None else a[k] for a, b in zip(old, new, strict=True)]
        place = group.schema.get_field_index(name)
        if place < 0:
            group = group.append_column(name, pa.array(cells, pa.string()))
            continue
        field = group.schema.field(place)
        kind = (
            field.type
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
            else pa.string()
        )
        group = group.set_column(place, field.with_type(kind), pa.array(cells, kind))
    return group


def _texts(group: pa.Table, name: str) -> Sequence[str | None]:
    if name not in group.schema.names:
        return [None] * group.num_rows
    return [None if cell is None else str(cell) for cell in group.column(name).to_pylist()]
