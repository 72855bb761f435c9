"""Reads the file by which codes of categories become names, such as Akeneo's category export."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa

from aisle.data.dialects.header import Header
from aisle.data.dialects.schema import CategoryFile
from aisle.data.files import TableFile
from aisle.data.problems import Problems
from aisle.data.readers import reader_of
from aisle.data.readers.base import ReadOptions
from aisle.data.readers.spreadsheet_reader import sheet_tables

_MAX_DEPTH = 50


def read_category_names(
    rules: CategoryFile, source: Path | None, export: Path | None = None
) -> dict[str, tuple[str, ...]] | None:
    """Code -> path of names, root first; None where there are none.

    Args:
        rules: Names of the file and of its columns.
        source: The file, or the folder in which it is looked for.
        export: The shop export; if it is a workbook, one of its sheets may hold the categories.

    Raises:
        CatalogError: The file cannot be read.
    """
    sheets = [] if export is None or not export.is_file() else [sheet_tables(TableFile(export))]
    files = [] if source is None else [_batches(path) for path in _candidates(rules, source)]
    for batches in chain(sheets, files):
        rows: dict[str, tuple[str, str]] = {}
        for batch in batches:
            rows.update(_rows(rules, batch))
        if rows:
            return {code: _path(code, rows) for code in rows}
    return None


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    table = TableFile(path)
    return reader_of(table).read(table, Problems(), 1, ReadOptions())


def _rows(rules: CategoryFile, batch: pa.RecordBatch) -> Iterator[tuple[str, tuple[str, str]]]:
    """Code, name and parent code of each category; empty for a table of other content."""
    header = Header(batch.schema.names)
    code, parent = header.find(rules.code), header.find(rules.parent)
    names = header.find_all(rules.name)
    if code is None or not names or (rules.parent and parent is None):
        return
    for row in batch.to_pylist():
        name = next((row[column] for column in names if row[column]), None) or row[code]
        if row[code]:
            yield row[code].strip(), (name.strip(), (row[parent] or "").strip() if parent else "")


def _candidates(rules: CategoryFile, source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return sorted({path for pattern in rules.files for path in source.glob(pattern) if path.is_file()})


def _path(code: str, rows: dict[str, tuple[str, str]]) -> tuple[str, ...]:
    """The names from the root to a category."""
    names: list[str] = []
    while code in rows and len(names) < _MAX_DEPTH:
        name, code = rows[code]
        names.append(name)
    return tuple(reversed(names))
