"""CSV, TSV and other delimited text."""

from collections.abc import Generator, Iterator
from itertools import chain, islice
from typing import NamedTuple

import pyarrow as pa

from aisle.data.batches import column_names, text_batches
from aisle.data.catalog_format import CatalogFormat
from aisle.data.dialects.header_lines import lines_before_header
from aisle.data.files import TableFile, lines_of
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions, TableReader, detect_encoding
from aisle.data.readers.csv_rows import CsvDialect, read_records, sniff
from aisle.encodings import separator_line
from aisle.errors import CatalogError

_SAMPLE_LINES, _SAMPLE_CHARS = 1000, 2 * 2**20  # by which the delimiter is detected
_TSV = (".tsv", ".tab")


class CsvReader(TableReader):
    """Delimited text; the delimiter is detected."""

    endings = (".csv", *_TSV, ".txt")
    folder_endings = (".csv", *_TSV)

    def read(
        self, table: TableFile, problems: Problems, first: int, options: ReadOptions
    ) -> Iterator[pa.RecordBatch]:
        """Read a file; its first line names the columns."""
        layout, sample, lines = _open(table, problems, options)
        encoding, dialect, _ = layout
        options.note(encoding=encoding, delimiter=dialect.delimiter)
        records = read_records(chain(sample, lines), dialect, problems.add, first)
        names = column_names(next(records, []), problems, encoding)
        if not names:
            raise CatalogError(
                f"{table.path}: the file is empty; a catalog starts with a line of column names"
            )
        yield from text_batches(records, names, first, problems, encoding)


class CsvLayout(NamedTuple):
    """How a CSV file is written.

    Attributes:
        encoding: Its encoding.
        dialect: Its dialect.
        skipped: The number of lines before the line of column names, such as `sep=;`.
    """

    encoding: str
    dialect: CsvDialect
    skipped: int


def csv_layout(table: TableFile, problems: Problems, options: ReadOptions) -> CsvLayout:
    """Detect how a CSV file is written, as `CsvReader` reads it.

    Raises:
        CatalogError: The file has another format.
    """
    layout, _, lines = _open(table, problems, options)
    lines.close()
    return layout


def _open(
    table: TableFile, problems: Problems, options: ReadOptions
) -> tuple[CsvLayout, list[str], Generator[str]]:
    """The layout, the first lines from the column names on, and the other lines."""
    encoding = detect_encoding(table, problems, options, csv=True)
    lines = lines_of(table, encoding)
    sample_text = _sample(lines)
    sample, stated = _without_separator_line(sample_text)
    sample = sample[lines_before_header(sample) :]
    is_tsv = table.ending in _TSV
    delimiter = (None if is_tsv else options.delimiter) or stated or ("\t" if is_tsv else None)
    dialect = _dialect(sample, delimiter, options.like)
    return CsvLayout(encoding, dialect, len(sample_text) - len(sample)), sample, lines


def _sample(lines: Iterator[str]) -> list[str]:
    """The first lines: a thousand, or fewer long ones."""
    sample: list[str] = []
    size = 0
    for line in islice(lines, _SAMPLE_LINES):
        sample.append(line)
        size += len(line)
        if size > _SAMPLE_CHARS:
            break
    return sample


def _without_separator_line(sample: list[str]) -> tuple[list[str], str | None]:
    """The lines after a first one such as `sep=;`, and the delimiter it states."""
    start = next((i for i, line in enumerate(sample) if line.strip("\ufeff \t\r\n")), 0)
    has_separator, delimiter = separator_line(sample[start]) if sample else (False, None)
    return (sample[start + 1 :], delimiter) if has_separator else (sample, None)


def _dialect(sample: list[str], delimiter: str | None, like: CatalogFormat | None) -> CsvDialect:
    """The dialect with this delimiter, else the earlier catalog's if it finds more of its columns, else a
    guess."""
    guess = sniff(sample, delimiter)
    if delimiter is not None or like is None or like.delimiter is None:
        return guess
    earlier, columns = sniff(sample, like.delimiter), set(like.named)

    def known_columns(dialect: CsvDialect) -> int:
        header = next(read_records(sample, dialect, lambda *_, **__: None, 1), [])
        return len(columns.intersection(name.strip() for name in header))

    return earlier if known_columns(earlier) > known_columns(guess) else guess
