"""Every format becomes the same thing: record batches of text (pictures stay bytes, embeddings numbers)."""

import datetime
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as _compute
from pyarrow.parquet import ParquetFile

from aisle.data import feedback_export
from aisle.data.catalog_format import CatalogFormat
from aisle.data.csv_rows import Dialect, read_records, sniff
from aisle.data.files import TableFile, lines_of
from aisle.data.fix_encoding import mended
from aisle.data.paths import is_remote
from aisle.data.problems import Problems
from aisle.data.records import BATCH
from aisle.encodings import HEAD, KEPT, SAMPLE, detect, foreign_format, foreign_text, separator_line
from aisle.errors import CatalogError

VECTOR = pa.list_(pa.float32())
_R = TypeVar("_R")
_CHUNK = 32 * 2**20  # characters, or bytes, that are about as many as a batch may hold
_SNIFFED = 2 * 2**20  # characters that the delimiter is told by
pc: Any = _compute  # its functions are made at run time, unknown to type checkers


class ReadOptions(NamedTuple):
    """What the user knows of a text file; None: it is detected.

    like: how the catalog of a model is written, which is tried before anything is guessed. chosen: takes down
    the delimiter and encoding of the first file. max_expanded: bytes that a packed file may unpack to.
    """

    delimiter: str | None = None
    encoding: str | None = None
    like: CatalogFormat | None = None
    detected: dict[str, str] | None = None
    max_expanded: int | None = None

    def note(self, **found: str) -> None:
        """What a file is read by."""
        if self.detected is not None:
            self.detected.update({key: value for key, value in found.items() if key not in self.detected})


def read_table(
    table: TableFile, problems: Problems, first: int, hints: ReadOptions
) -> Iterator[pa.RecordBatch]:
    """One file's batches; its records are numbered from `first`."""
    if table.format == "parquet":
        yield from _read_parquet(table, problems, first)
    elif table.format in ("jsonl", "json"):
        yield from _read_json(table, problems, first, hints)
    else:
        yield from _read_csv(table, problems, first, hints)


# -- CSV --------------------------------------------------------------------------------------


def _read_csv(
    table: TableFile, problems: Problems, first: int, hints: ReadOptions
) -> Iterator[pa.RecordBatch]:
    encoding = _encoding(table, problems, hints)
    lines = lines_of(table, encoding)
    sample, named = _without_separator_line(_sample(lines))
    given = None if table.format == "tsv" else hints.delimiter
    given = given or named or ("\t" if table.format == "tsv" else None)
    dialect = _dialect(sample, given, hints.like)
    hints.note(encoding=encoding, delimiter=dialect.delimiter)
    records = read_records(chain(sample, lines), dialect, problems.add, first)
    names = _names(_header(next(records, []), encoding, problems), problems)
    if not names:
        raise CatalogError(f"{table.path}: the file is empty; a catalogue starts with a line of column names")
    row, empty = first, True
    for chunk in _chunks(records, _length):
        columns = [
            _text(values, row, name, problems, encoding)
            for name, values in zip(names, zip(*chunk, strict=True), strict=True)
        ]
        yield pa.record_batch(columns, names=names)
        row, empty = row + len(chunk), False
    if empty:
        yield pa.record_batch([pa.array([], pa.string()) for _ in names], names=names)


def _dialect(sample: list[str], given: str | None, like: CatalogFormat | None) -> Dialect:
    """What parts the fields: as given, else as in the catalog that this one is like, where the first line
    then names more of its columns, else by the first lines."""
    found = sniff(sample, given)
    if given is not None or like is None or like.delimiter is None:
        return found
    other = sniff(sample, like.delimiter)
    known = set(like.named)
    ours, theirs = (
        len(known.intersection(name.strip() for name in next(read_records(sample, one, _unheard, 1), [])))
        for one in (found, other)
    )
    return other if theirs > ours else found


def _unheard(*_: object, **__: object) -> None:
    """Problems of lines that are only tried are not noted."""


def _header(names: Iterable[str], encoding: str, problems: Problems) -> list[str]:
    """Column names whose bytes were no text, mended and told."""
    found = [mended(name, encoding) for name in names]
    for name in found:
        if name.what:
            problems.add(None, name.text, f"the column's name: {name.what}", name.shown)
    return [name.text for name in found]


def _encoding(table: TableFile, problems: Problems, hints: ReadOptions) -> str:
    """The name of the file's encoding; a guess is told.

    Raises:
        CatalogError: the file is of another format.
    """
    with table.open() as file:
        sample = file.read(SAMPLE)
    encoding = detect(sample, hints.encoding, hints.like.encoding if hints.like else None)
    found = foreign_format(sample, encoding.name)
    if found is None and table.format in ("csv", "text", "tsv"):
        found = foreign_text(sample, encoding.name)
    if found is not None:
        raise CatalogError(f"{table.path}: not a table of text, but {found}")
    if not encoding.sure:
        told = f"{table.path.name}: {encoding.name}"
        problems.add(None, None, "not UTF-8; the encoding was guessed", told)
    return encoding.name


def _sample(lines: Iterator[str]) -> list[str]:
    """The first lines: a thousand, or fewer long ones."""
    sample: list[str] = []
    size = 0
    for line in islice(lines, 1000):
        sample.append(line)
        size += len(line)
        if size > _SNIFFED:
            break
    return sample


def _without_separator_line(sample: list[str]) -> tuple[list[str], str | None]:
    """The lines after a first one that says `sep=;`, and the delimiter it names."""
    start = next((i for i, line in enumerate(sample) if line.strip("\ufeff \t\r\n")), 0)
    found, named = separator_line(sample[start]) if sample else (False, None)
    return (sample[start + 1 :], named) if found else (sample, None)


def _chunks(records: Iterable[_R], size: Callable[[_R], int]) -> Iterator[list[_R]]:
    """As many records as make one batch: fewer where they are long."""
    records, count = iter(records), 64
    while chunk := list(islice(records, count)):
        yield chunk
        mean = sum(map(size, chunk[:64])) // len(chunk[:64]) + 1
        count = min(BATCH, 16 * count, _CHUNK // mean + 1)


def _length(record: Sequence[str]) -> int:
    return sum(map(len, record))


def _size(item: Mapping[str, Any]) -> int:
    return sum(len(value) for value in item.values() if isinstance(value, str | bytes))


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


def _text(
    values: Sequence[str | None], row: int, column: str, problems: Problems, encoding: str = "utf-8"
) -> pa.Array:
    """An Arrow text column of the records from `row` on; what cannot be text is mended and reported."""
    try:
        return pa.array(values, pa.string())
    except (UnicodeEncodeError, pa.ArrowException):
        sound = list(values)
        for i, value in enumerate(values):
            if value is None or value.isascii():
                continue
            try:
                value.encode()
            except UnicodeEncodeError:
                sound[i], what, shown = mended(value, encoding)
                problems.add(row + i, column, what, shown)
        return pa.array(sound, pa.string())


# -- JSON -------------------------------------------------------------------------------------


def _read_json(
    table: TableFile, problems: Problems, first: int, hints: ReadOptions
) -> Iterator[pa.RecordBatch]:
    encoding = _encoding(table, problems, hints)
    hints.note(encoding=encoding)
    lines = lines_of(table, encoding)
    if table.format == "json":
        lines = _array_items(table, "".join(lines))
    rows = _json_rows(lines, problems, first)
    head = list(islice(rows, 1))
    rows = chain(head, rows)
    if head and feedback_export.is_row(head[0]):
        rows = feedback_export.flat_rows(rows, table.path, problems, first)
        yield from map(feedback_export.marked, rows_to_batches(rows, problems, first, encoding))
    else:
        yield from rows_to_batches(rows, problems, first, encoding)


def _array_items(table: TableFile, text: str) -> Iterator[Any]:
    """The objects of one JSON array; a `.json` file of one object a line is read as JSONL."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        if "\n" in text.strip():
            return iter(text.splitlines(keepends=True))
        raise CatalogError(f"{table.path}: not JSON: {error}") from error
    if isinstance(data, dict):  # {"products": [{…}, …]}
        lists = [v for v in data.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        data = lists[0] if len(lists) == 1 else [data]
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
    rows: Iterable[Mapping[str, Any]], problems: Problems, first: int, encoding: str = "utf-8"
) -> Iterator[pa.RecordBatch]:
    """Batches of rows held as mappings; columns that turn up later are added to later batches."""
    names: dict[str, None] = {}
    row, clean = first, []
    for chunk in _chunks(rows, _size):
        for item in chunk:
            for name in item:
                names.setdefault(name)
        if len(names) > len(clean):
            told = Problems()  # what the names before were told already
            telling = told if clean else problems
            clean = _names(_header(map(str, names), encoding, telling), telling)
        columns = [
            _column([item.get(raw) for item in chunk], row, name, problems, encoding)
            for raw, name in zip(names, clean, strict=True)
        ]
        if clean:
            yield pa.record_batch(columns, names=clean)
        else:  # objects without a single key are rows too
            yield pa.record_batch([pa.nulls(len(chunk), pa.string())], names=["column_1"])
        row += len(chunk)


def _column(values: list[Any], row: int, name: str, problems: Problems, encoding: str) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bytes}:
        return pa.array(values, pa.binary())
    if kinds == {np.ndarray} and all(v is None or v.dtype.kind in "fiub" for v in values):
        return pa.array([None if v is None else v.astype(np.float32) for v in values], VECTOR)
    return _text([as_text(value) for value in values], row, name, problems, encoding)


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
        return value.decode("utf-8", KEPT)
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


def _read_parquet(table: TableFile, problems: Problems, first: int) -> Iterator[pa.RecordBatch]:
    with table.open() as opened:
        found = foreign_format(opened.peek(HEAD)[:HEAD])
    if found is not None and not found.startswith("Parquet"):
        raise CatalogError(f"{table.path}: not Parquet, but {found}")
    packed = table.path.suffix.lower() not in (".parquet", ".pq")
    source: Any = str(table.path)
    if packed or is_remote(table.path):
        source = io.BytesIO(table.open().read()) if packed else table.path.open("rb")
    with ParquetFile(source) as file:
        names = _names(file.schema_arrow.names, problems)
        if not file.metadata.num_rows:
            yield plain_batch(file.schema_arrow.empty_table(), names, problems, first)
        for batch in file.iter_batches(_batch_rows(file.metadata)):
            yield plain_batch(pa.table(batch), names, problems, first)
            first += batch.num_rows


def _batch_rows(metadata: Any) -> int:
    """Rows of a batch: fewer where they hold pictures."""
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return max(1, min(BATCH, _CHUNK * metadata.num_rows // (size + 1)))


def arrow_batches(table: pa.Table, problems: Problems) -> Iterator[pa.RecordBatch]:
    """The batches of a table already in memory."""
    names, first = _names(table.column_names, problems), 1
    for batch in table.to_batches(BATCH) or [pa.RecordBatch.from_pylist([], schema=table.schema)]:
        yield plain_batch(pa.table(batch), names, problems, first)
        first += batch.num_rows


def plain_batch(table: pa.Table, names: list[str], problems: Problems, first: int) -> pa.RecordBatch:
    """Text, bytes and vectors only: whatever else Arrow can hold is written out."""
    columns = [
        _plain(column.combine_chunks(), first, name, problems)
        for name, column in zip(names, table.columns, strict=True)
    ]
    return pa.record_batch(columns, names=names)


def _valid(column: pa.Array, first: int, name: str, problems: Problems) -> pa.Array:
    """Parquet's text may hold anything at all; what is not UTF-8 is read as well as can be."""
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        raw = column.cast(pa.binary()).to_pylist()
        return _text([as_text(value) for value in raw], first, name, problems)


def _plain(column: pa.Array | pa.ChunkedArray, first: int, name: str, problems: Problems) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _valid(column.cast(pa.string()), first, name, problems)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.binary())
    if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        found = _plain_list(column, kind.value_type)
        if found is not None:
            return found
    if pa.types.is_struct(kind) and "bytes" in {
        field.name for field in kind
    }:  # how `datasets` keeps pictures
        held = pc.struct_field(column, "bytes").cast(pa.binary())
        if "path" in {field.name for field in kind}:
            paths = pc.if_else(held.is_null(), pc.struct_field(column, "path"), None)
            for i in np.flatnonzero(paths.is_valid().to_numpy(zero_copy_only=False)):
                what = "a picture without its bytes; its path is not followed"
                problems.add(first + int(i), name, what, str(paths[int(i)]))
        return held
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    return _text([as_text(value) for value in column.to_pylist()], first, name, problems)


def _plain_list(column: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """A column of lists of numbers or of bytes; None where they hold anything else."""
    if pa.types.is_floating(kind):
        return column.cast(VECTOR)
    if pa.types.is_binary(kind):
        return column.cast(pa.list_(pa.binary()))
    if pa.types.is_struct(kind) and "bytes" in {field.name for field in kind}:
        held = ([item and item["bytes"] for item in cell or ()] for cell in column.to_pylist())
        return pa.array(held, pa.list_(pa.binary()))
    return None
