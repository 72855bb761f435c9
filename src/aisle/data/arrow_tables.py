"""Parquet files and Arrow tables as record batches of text, bytes and vectors."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as _compute
from pyarrow.parquet import ParquetFile

from aisle.data.batches import CHUNK, VECTOR, column_names, text_array
from aisle.data.files import TableFile
from aisle.data.json_tables import as_text
from aisle.data.paths import is_remote
from aisle.data.problems import Problems
from aisle.data.records import BATCH
from aisle.encodings import HEAD, foreign_format
from aisle.errors import CatalogError

pc: Any = _compute  # its functions are made at run time, unknown to type checkers


def read_parquet(table: TableFile, problems: Problems, first: int) -> Iterator[pa.RecordBatch]:
    """The batches of a Parquet file; its records are numbered from `first`."""
    with table.open() as opened:
        found = foreign_format(opened.peek(HEAD)[:HEAD])
    if found is not None and not found.startswith("Parquet"):
        raise CatalogError(f"{table.path}: not Parquet, but {found}")
    compressed = table.path.suffix.lower() not in (".parquet", ".pq")
    source: Any = str(table.path)
    if compressed or is_remote(table.path):
        source = io.BytesIO(table.open().read()) if compressed else table.path.open("rb")
    with ParquetFile(source) as file:
        names = column_names(file.schema_arrow.names, problems)
        if not file.metadata.num_rows:
            yield _plain_batch(file.schema_arrow.empty_table(), names, problems, first)
        for batch in file.iter_batches(_batch_rows(file.metadata)):
            yield _plain_batch(pa.table(batch), names, problems, first)
            first += batch.num_rows


def arrow_batches(table: pa.Table, problems: Problems) -> Iterator[pa.RecordBatch]:
    """The batches of a table in memory."""
    names, first = column_names(table.column_names, problems), 1
    for batch in table.to_batches(BATCH) or [pa.RecordBatch.from_pylist([], schema=table.schema)]:
        yield _plain_batch(pa.table(batch), names, problems, first)
        first += batch.num_rows


def _batch_rows(metadata: Any) -> int:
    """Rows of a batch: fewer where they hold images."""
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return max(1, min(BATCH, CHUNK * metadata.num_rows // (size + 1)))


def _plain_batch(table: pa.Table, names: list[str], problems: Problems, first: int) -> pa.RecordBatch:
    """Text, bytes and vectors only: whatever else Arrow can hold is written as text."""
    columns = [
        _plain(column.combine_chunks(), first, name, problems)
        for name, column in zip(names, table.columns, strict=True)
    ]
    return pa.record_batch(columns, names=names)


def _plain(column: pa.Array | pa.ChunkedArray, first: int, name: str, problems: Problems) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _valid(column.cast(pa.string()), first, name, problems)
    if _is_binary(kind):
        return column.cast(pa.binary())
    if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        found = _plain_list(column, kind.value_type)
        if found is not None:
            return found
    if _holds_image(kind):
        return _image_bytes(column, first, name, problems)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    return text_array([as_text(value) for value in column.to_pylist()], first, name, problems)


def _is_binary(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _holds_image(kind: pa.DataType) -> bool:
    """Whether a type is that of images in `datasets`: a struct of bytes and a path."""
    return pa.types.is_struct(kind) and "bytes" in {field.name for field in kind}


def _image_bytes(column: pa.Array, first: int, name: str, problems: Problems) -> pa.Array:
    held = pc.struct_field(column, "bytes").cast(pa.binary())
    if "path" in {field.name for field in column.type}:
        paths = pc.if_else(held.is_null(), pc.struct_field(column, "path"), None)
        for i in np.flatnonzero(paths.is_valid().to_numpy(zero_copy_only=False)):
            message = "an image without its bytes; its path is not followed"
            problems.add(first + int(i), name, message, str(paths[int(i)]))
    return held


def _plain_list(column: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """A column of lists of numbers or of bytes; None where they hold anything else."""
    if pa.types.is_floating(kind):
        return column.cast(VECTOR)
    if pa.types.is_binary(kind):
        return column.cast(pa.list_(pa.binary()))
    if _holds_image(kind):
        held = ([item and item["bytes"] for item in cell or ()] for cell in column.to_pylist())
        return pa.array(held, pa.list_(pa.binary()))
    return None


def _valid(column: pa.Array, first: int, name: str, problems: Problems) -> pa.Array:
    """A text column as valid UTF-8: Parquet's text may hold any bytes."""
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        raw = column.cast(pa.binary()).to_pylist()
        return text_array([as_text(value) for value in raw], first, name, problems)
