"""Every format becomes the same thing: record batches of text (pictures stay bytes, embeddings numbers)."""

import datetime
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as _compute
from pyarrow.parquet import ParquetFile

from aisle.catalog.csv_rows import read_records, sniff
from aisle.catalog.files import Table, detect_encoding, lines_of
from aisle.catalog.problems import Problems
from aisle.catalog.records import BATCH
from aisle.errors import CatalogError

VECTOR = pa.list_(pa.float32())
pc: Any = _compute  # its functions are made at run time, unknown to type checkers


class Hints(NamedTuple):
    """What the user knows of a text file; None: it is detected."""

    delimiter: str | None = None
    encoding: str | None = None


def read_table(table: Table, problems: Problems, first: int, hints: Hints) -> Iterator[pa.RecordBatch]:
    """One file's batches; its records are numbered from `first`."""
    if table.format == "parquet":
        yield from _read_parquet(table, problems)
    elif table.format in ("jsonl", "json"):
        yield from _read_json(table, problems, first, hints)
    else:
        yield from _read_csv(table, problems, first, hints)


# -- CSV --------------------------------------------------------------------------------------


def _read_csv(table: Table, problems: Problems, first: int, hints: Hints) -> Iterator[pa.RecordBatch]:
    encoding = detect_encoding(table, hints.encoding)
    if not encoding.sure:
        problems.add(None, None, "not UTF-8; the encoding was guessed", encoding.name)
    lines = lines_of(table, encoding.name)
    sample = list(islice(lines, 1000))
    dialect = sniff(sample, "\t" if table.format == "tsv" else hints.delimiter)
    records = read_records(chain(sample, lines), dialect, problems.add, first)
    names = _names(next(records, []), problems)
    if not names:
        raise CatalogError(f"{table.path}: the file is empty; a catalogue starts with a line of column names")
    row, empty = first, True
    while chunk := list(islice(records, BATCH)):
        columns = [
            _text(values, row, name, problems)
            for name, values in zip(names, zip(*chunk, strict=True), strict=True)
        ]
        yield pa.record_batch(columns, names=names)
        row, empty = row + len(chunk), False
    if empty:
        yield pa.record_batch([pa.array([], pa.string()) for _ in names], names=names)


def _names(header: Sequence[str], problems: Problems) -> list[str]:
    """Column names, made unique; a column without a name is called after its place."""
    names: list[str] = []
    for place, raw in enumerate(header, 1):
        name = raw.encode("utf-8", "replace").decode().strip().lstrip("\ufeff") or f"column_{place}"
        base, copy = name, 2
        while name in names:
            name, copy = f"{base}_{copy}", copy + 1
        if name != base:
            problems.add(None, base, f"two columns have this name; the second is read as {name!r}")
        names.append(name)
    return names


def _text(values: Sequence[str | None], row: int, column: str, problems: Problems) -> pa.Array:
    """An Arrow text column; bytes that were no UTF-8 are read as Windows-1252, and reported."""
    try:
        return pa.array(values, pa.string())
    except (UnicodeEncodeError, pa.ArrowException):
        mended = list(values)
        for i, value in enumerate(values):
            if value is None or value.isascii():
                continue
            try:
                value.encode()
            except UnicodeEncodeError:
                raw = (
                    value.encode("utf-8", "surrogateescape")
                    if _escaped(value)
                    else value.encode("utf-8", "replace")
                )
                mended[i] = raw.decode("cp1252", "replace") if _escaped(value) else raw.decode()
                problems.add(row + i, column, "not valid UTF-8; read as Windows-1252", mended[i] or "")
        return pa.array(mended, pa.string())


def _escaped(value: str) -> bool:
    return all("\udc80" <= c <= "\udcff" for c in value if "\ud800" <= c <= "\udfff")


# -- JSON -------------------------------------------------------------------------------------


def _read_json(table: Table, problems: Problems, first: int, hints: Hints) -> Iterator[pa.RecordBatch]:
    encoding = detect_encoding(table, hints.encoding)
    lines = lines_of(table, encoding.name)
    if table.format == "json":
        lines = _array_items(table, "".join(lines))
    yield from rows_to_batches(_json_rows(lines, problems, first), problems, first)


def _array_items(table: Table, text: str) -> Iterator[Any]:
    """The objects of one JSON array; a `.json` file of one object a line is read as JSONL."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        if "\n" in text.strip():
            return iter(text.splitlines(keepends=True))
        raise CatalogError(f"{table.path}: not JSON: {error}") from error
    return iter(data if isinstance(data, list) else [data])


def _json_rows(lines: Iterable[Any], problems: Problems, first: int) -> Iterator[Mapping[str, Any]]:
    row = first
    for line in lines:
        if isinstance(line, str):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except (ValueError, RecursionError) as error:
                problems.add(row, None, f"not JSON: {str(error).split(':')[0]}", line.strip(), fatal=True)
                item = {}
        else:
            item = line
        if not isinstance(item, dict):
            problems.add(row, None, "a JSON object was expected", str(item), fatal=True)
            item = {}
        yield item
        row += 1


def rows_to_batches(
    rows: Iterable[Mapping[str, Any]], problems: Problems, first: int
) -> Iterator[pa.RecordBatch]:
    """Batches of rows held as mappings; columns that turn up later are added to later batches."""
    names: dict[str, None] = {}
    rows, row = iter(rows), first
    while chunk := list(islice(rows, BATCH)):
        for item in chunk:
            for name in item:
                names.setdefault(name)
        columns = [_column([item.get(name) for item in chunk], row, str(name), problems) for name in names]
        clean = _names([str(name) for name in names], Problems())
        if clean:
            yield pa.record_batch(columns, names=clean)
        else:  # objects without a single key are rows too
            yield pa.record_batch([pa.nulls(len(chunk), pa.string())], names=["column_1"])
        row += len(chunk)


def _column(values: list[Any], row: int, name: str, problems: Problems) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bytes}:
        return pa.array(values, pa.binary())
    if kinds == {np.ndarray}:
        return pa.array([None if v is None else v.astype(np.float32) for v in values], VECTOR)
    return _text([as_text(value) for value in values], row, name, problems)


def as_text(value: Any) -> str | None:
    """A value as a person would write it: floats without exponents, lists as JSON, nothing as None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return plain_float(float(value))
    if isinstance(value, int | np.integer):
        return str(int(value)) if abs(int(value)) < 10**4000 else f"{int(value):x}"
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError, TypeError):
        return str(type(value).__name__)


def plain_float(value: float) -> str | None:
    """`5.0` -> `5`, `1e-05` -> `0.00001`; not a number -> None."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return np.format_float_positional(value, trim="-")


# -- Parquet and Arrow ------------------------------------------------------------------------


def _read_parquet(table: Table, problems: Problems) -> Iterator[pa.RecordBatch]:
    packed = table.path.suffix.lower() not in (".parquet", ".pq")
    source: Any = io.BytesIO(table.open().read()) if packed else str(table.path)
    with ParquetFile(source) as file:
        if not file.metadata.num_rows:
            yield plain_batch(file.schema_arrow.empty_table(), problems)
        for batch in file.iter_batches(BATCH):
            yield plain_batch(pa.table(batch), problems)


def arrow_batches(table: pa.Table, problems: Problems) -> Iterator[pa.RecordBatch]:
    """The batches of a table already in memory."""
    for batch in table.to_batches(BATCH) or [pa.record_batch(table.slice(0, 0).combine_chunks())]:
        yield plain_batch(pa.table(batch), problems)


def plain_batch(table: pa.Table, problems: Problems) -> pa.RecordBatch:
    """Text, bytes and vectors only: whatever else Arrow can hold is written out."""
    columns = [_plain(column.combine_chunks()) for column in table.columns]
    return pa.record_batch(
        columns, names=_names(table.column_names, problems if not table.num_rows else Problems())
    )


def _valid(column: pa.Array) -> pa.Array:
    """Parquet's text may hold anything at all; read what is not UTF-8 as well as can be."""
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        raw = column.cast(pa.binary()).to_pylist()
        return pa.array(
            [None if value is None else value.decode("utf-8", "replace") for value in raw], pa.string()
        )


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_string(kind):
        return _valid(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.binary())
    if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        if pa.types.is_floating(kind.value_type):
            return column.cast(VECTOR)
        if pa.types.is_binary(kind.value_type):
            return column.cast(pa.list_(pa.binary()))
    if pa.types.is_struct(kind) and "bytes" in {
        field.name for field in kind
    }:  # how `datasets` keeps pictures
        return pc.struct_field(column, "bytes").cast(pa.binary())
    if pa.types.is_large_string(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    return pa.array([as_text(value) for value in column.to_pylist()], pa.string())
