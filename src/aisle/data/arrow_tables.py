"""Arrow tables as record batches of text, bytes and vectors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as _compute

from aisle.data.batches import VECTOR, column_names, text_array
from aisle.data.json_tables import as_text
from aisle.data.problems import Problems
from aisle.data.records import BATCH

pc: Any = _compute  # its functions are made at run time, unknown to type checkers


def arrow_batches(table: pa.Table, problems: Problems) -> Iterator[pa.RecordBatch]:
    """The batches of a table in memory."""
    names, first = column_names(table.column_names, problems), 1
    for batch in table.to_batches(BATCH) or [pa.RecordBatch.from_pylist([], schema=table.schema)]:
        yield plain_batch(pa.table(batch), names, problems, first)
        first += batch.num_rows


def plain_batch(table: pa.Table, names: list[str], problems: Problems, first: int) -> pa.RecordBatch:
    """A table of one batch as text, bytes and vectors; other Arrow types become text."""
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
        plain = _plain_list(column, kind.value_type)
        if plain is not None:
            return plain
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
    data = pc.struct_field(column, "bytes").cast(pa.binary())
    if "path" in {field.name for field in column.type}:
        paths = pc.if_else(data.is_null(), pc.struct_field(column, "path"), None)
        for i in np.flatnonzero(paths.is_valid().to_numpy(zero_copy_only=False)):
            message = "an image without its bytes; its path is not followed"
            problems.add(first + int(i), name, message, str(paths[int(i)]))
    return data


def _plain_list(column: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """A column of lists of numbers or of bytes; None where they hold anything else."""
    if pa.types.is_floating(kind):
        return column.cast(VECTOR)
    if pa.types.is_binary(kind):
        return column.cast(pa.list_(pa.binary()))
    if _holds_image(kind):
        images = ([item and item["bytes"] for item in cell or ()] for cell in column.to_pylist())
        return pa.array(images, pa.list_(pa.binary()))
    return None


def _valid(column: pa.Array, first: int, name: str, problems: Problems) -> pa.Array:
    """A text column as valid UTF-8: Parquet's text may hold any bytes."""
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        raw = column.cast(pa.binary()).to_pylist()
        return text_array([as_text(value) for value in raw], first, name, problems)
