"""Files of any format as record batches of text, bytes (images) and numbers (vectors)."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

import pyarrow as pa

from aisle.data.arrow_tables import read_parquet
from aisle.data.batches import chunked, column_names, text_array
from aisle.data.catalog_format import CatalogFormat
from aisle.data.csv_rows import Dialect, read_records, sniff
from aisle.data.files import TableFile, lines_of
from aisle.data.json_tables import read_json
from aisle.data.problems import Problems
from aisle.encodings import SAMPLE, detect, foreign_format, foreign_text, separator_line
from aisle.errors import CatalogError

_SNIFFED = 2 * 2**20  # characters by which the delimiter is detected


class ReadOptions(NamedTuple):
    """What is known of a source before it is read; None: it is detected.

    Attributes:
        delimiter: The field delimiter of CSV files.
        encoding: The text encoding.
        like: The format of an earlier catalog, which is tried first.
        detected: Receives the delimiter and encoding of the first file.
        max_expanded: Bytes that a compressed file may unpack to.
    """

    delimiter: str | None = None
    encoding: str | None = None
    like: CatalogFormat | None = None
    detected: dict[str, str] | None = None
    max_expanded: int | None = None

    def note(self, **found: str) -> None:
        """Record what the first file is read with."""
        if self.detected is not None:
            self.detected.update({key: value for key, value in found.items() if key not in self.detected})


def read_table(
    table: TableFile, problems: Problems, first: int, options: ReadOptions
) -> Iterator[pa.RecordBatch]:
    """The batches of one file; its records are numbered from `first`."""
    if table.format == "parquet":
        yield from read_parquet(table, problems, first)
        return
    encoding = _encoding(table, problems, options)
    if table.format in ("jsonl", "json"):
        options.note(encoding=encoding)
        yield from read_json(table, encoding, problems, first)
    else:
        yield from _read_csv(table, encoding, problems, first, options)


def _encoding(table: TableFile, problems: Problems, options: ReadOptions) -> str:
    """The name of the file's encoding; a guess is reported.

    Raises:
        CatalogError: The file has another format.
    """
    with table.open() as file:
        sample = file.read(SAMPLE)
    encoding = detect(sample, options.encoding, options.like.encoding if options.like else None)
    found = foreign_format(sample, encoding.name)
    if found is None and table.format in ("csv", "text", "tsv"):
        found = foreign_text(sample, encoding.name)
    if found is not None:
        raise CatalogError(f"{table.path}: not a table of text, but {found}")
    if not encoding.sure:
        problems.add(None, None, "not UTF-8; the encoding was guessed", f"{table.path.name}: {encoding.name}")
    return encoding.name


def _read_csv(
    table: TableFile, encoding: str, problems: Problems, first: int, options: ReadOptions
) -> Iterator[pa.RecordBatch]:
    lines = lines_of(table, encoding)
    sample, named = _without_separator_line(_sample(lines))
    known = (None if table.format == "tsv" else options.delimiter) or named
    dialect = _dialect(sample, known or ("\t" if table.format == "tsv" else None), options.like)
    options.note(encoding=encoding, delimiter=dialect.delimiter)
    records = read_records(chain(sample, lines), dialect, problems.add, first)
    names = column_names(next(records, []), problems, encoding)
    if not names:
        raise CatalogError(f"{table.path}: the file is empty; a catalog starts with a line of column names")
    row, empty = first, True
    for chunk in chunked(records, lambda record: sum(map(len, record))):
        columns = [
            text_array(values, row, name, problems, encoding)
            for name, values in zip(names, zip(*chunk, strict=True), strict=True)
        ]
        yield pa.record_batch(columns, names=names)
        row, empty = row + len(chunk), False
    if empty:
        yield pa.record_batch([pa.array([], pa.string()) for _ in names], names=names)


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
    """The lines after a first one such as `sep=;`, and the delimiter it names."""
    start = next((i for i, line in enumerate(sample) if line.strip("\ufeff \t\r\n")), 0)
    found, named = separator_line(sample[start]) if sample else (False, None)
    return (sample[start + 1 :], named) if found else (sample, None)


def _dialect(sample: list[str], known: str | None, like: CatalogFormat | None) -> Dialect:
    """The known dialect, else that of the earlier catalog if more of its columns are found, else a guess."""
    found = sniff(sample, known)
    if known is not None or like is None or like.delimiter is None:
        return found
    other, columns = sniff(sample, like.delimiter), set(like.named)
    ours, theirs = (
        len(columns.intersection(name.strip() for name in next(read_records(sample, one, _ignore, 1), [])))
        for one in (found, other)
    )
    return other if theirs > ours else found


def _ignore(*_: object, **__: object) -> None:
    """Takes the problems of lines that are only tried."""
