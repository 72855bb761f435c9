"""Sheets of cells as records: chooses the sheet that holds the products, and finds its header row."""

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import pyarrow as pa

from aisle.data.batches import column_names, text_batches
from aisle.data.column_names import VAGUE, rank
from aisle.data.json_tables import as_text
from aisle.data.problems import Problems
from aisle.errors import CatalogError

_HEAD = 1000  # rows by which the header and the columns are found
_HEADER_ROWS = 40  # rows that the header may be among
_ROLES = ("id", "title", "description", "category", "images", "group")
_NUMBER = re.compile(r"[-+]?[\d.,]+%?|\d{4}-\d\d-\d\d.*")
_TECHNICAL = re.compile(
    r"[A-Za-z][\w.#:/\-]*(?:\[[^\[\]]*\][\w.#:/\-]*)*"
)  # `item_name`, `bullet_point#1.value`


class Sheet(NamedTuple):
    """A sheet of a workbook, or a table of a page.

    Attributes:
        name: Its name in messages.
        rows: Iterates over its rows from the start; a row is a list of cells.
    """

    name: str
    rows: Callable[[], Iterable[Sequence[Any]]]


class _Header(NamedTuple):
    """The header of a sheet: its row's position, its cells, the number of roles they name, rows below it."""

    row: int
    names: tuple[str, ...]
    roles: int
    below: int


def sheet_batches(
    sheets: Sequence[Sheet], path: object, problems: Problems, first: int
) -> Iterator[pa.RecordBatch]:
    """The records of the sheet that holds the products, and of sheets with the same header.

    Args:
        sheets: The sheets of the file.
        path: The file, for messages.
        problems: Receives which sheets are read.
        first: The number of the first record.

    Raises:
        CatalogError: No sheet holds a table.
    """
    headers, best, chosen = _choose(sheets, path)
    if len(sheets) > 1:
        others = [sheet.name for i, sheet in enumerate(sheets) if i not in chosen]
        read = ", ".join(sheets[i].name for i in chosen)
        message = f"read from the sheet{'s' * (len(chosen) > 1)} {read}"
        problems.note(None, message, f"not read: {', '.join(others)}" if others else "")
    if headers[best].row:
        problems.note(None, f"the column names are in line {headers[best].row + 1}; lines above are not read")
    for i in chosen:
        for batch in _records(
            sheets[i], headers[i], problems if i == chosen[0] else Problems(), problems, first
        ):
            yield batch
            first += batch.num_rows


def _choose(sheets: Sequence[Sheet], path: object) -> tuple[dict[int, _Header], int, list[int]]:
    """The headers by sheet, the sheet that holds the products, and all sheets with its header."""
    headers = {i: header for i, sheet in enumerate(sheets) if (header := _header(sheet)) is not None}
    if not headers:
        raise CatalogError(f"{path}: holds no table: a line of column names, and products below it")
    best = max(headers, key=lambda i: (headers[i].roles, headers[i].below > 0, len(headers[i].names), -i))
    chosen = [i for i, header in headers.items() if header.names == headers[best].names and header.below]
    return headers, best, chosen or [best]


def every_sheet(sheets: Sequence[Sheet]) -> Iterator[pa.RecordBatch]:
    """The records of each sheet that is not blank."""
    for sheet in sheets:
        header = _header(sheet)
        if header is not None:
            yield from _records(sheet, header, Problems(), Problems(), 1)


class LocatedRecords(NamedTuple):
    """The records of one sheet and where they are; positions count from 0.

    Attributes:
        sheet: The position of the sheet.
        header: The row of the column names.
        columns: The column of each name.
        records: (row, cells in the order of `columns`) of each record.
    """

    sheet: int
    header: int
    columns: dict[str, int]
    records: Iterator[tuple[int, list[str]]]


def locate_records(sheets: Sequence[Sheet], path: object) -> Iterator[LocatedRecords]:
    """The records of `sheet_batches` with their positions.

    Args:
        sheets: The sheets of the file.
        path: The file, for messages.

    Raises:
        CatalogError: As `sheet_batches`.
    """
    headers, _, chosen = _choose(sheets, path)
    for i in chosen:
        kept, titles, rows = _layout(sheets[i], headers[i], Problems())
        cells_at = ((row, _at(cells, kept)) for row, cells in rows)
        filled = ((row, cells) for row, cells in cells_at if any(cells))
        yield LocatedRecords(i, headers[i].row, dict(zip(titles, kept, strict=True)), filled)


def _layout(
    sheet: Sheet, header: _Header, naming: Problems
) -> tuple[list[int], list[str], Iterator[tuple[int, list[str]]]]:
    """The columns that are read, their names, and the rows below the header with their positions.

    Columns without a name are read where they are not empty.
    """
    rows = ((i, list(map(_text, row))) for i, row in enumerate(sheet.rows()) if i > header.row)
    head = list(islice(rows, _HEAD))
    width = max([len(header.names), *(len(row) for _, row in head)])
    names = [*header.names, *[""] * (width - len(header.names))]
    kept = [k for k, name in enumerate(names) if name or any(len(row) > k and row[k] for _, row in head)]
    return kept, column_names([names[k] for k in kept], naming), chain(head, rows)


def _at(cells: Sequence[str], positions: Sequence[int]) -> list[str]:
    return [cells[k] if k < len(cells) else "" for k in positions]


def _records(
    sheet: Sheet, header: _Header, naming: Problems, problems: Problems, first: int
) -> Iterator[pa.RecordBatch]:
    """The rows below the header; columns without a name and blank rows are left out where they are empty."""
    kept, titles, rows = _layout(sheet, header, naming)
    cells = (_at(row, kept) for _, row in rows)
    yield from text_batches((row for row in cells if any(row)), titles, first, problems)


def _text(cell: Any) -> str:
    """A cell as text: numbers without `.0`, dates without a time of midnight."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, float):  # a spreadsheet shows at most 15 digits
        cell = float(f"{cell:.15g}")
    elif isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        cell = cell.date()
    elif isinstance(cell, datetime.time | datetime.timedelta):
        return str(cell)
    return as_text(cell) or ""


def _header(sheet: Sheet) -> _Header | None:
    """The header of a sheet; None if it is blank."""
    rows = [list(map(_text, row)) for row in islice(iter(sheet.rows()), _HEAD)]
    header = header_row(rows[:_HEADER_ROWS])
    if header is None:
        return None
    names = rows[header]
    while names and not names[-1]:
        names.pop()
    return _Header(header, tuple(names), _roles(names), sum(map(any, rows[header + 1 :])))


def header_row(rows: Sequence[Sequence[str]]) -> int | None:
    """The position of the row that names the columns.

    A title, notes or a line of groups may stand above it. Of the rows that could be a header (nearly as many
    cells as any row, all of them different and no numbers), it is the one that names the most roles. A row of
    technical names below the header in words, as in Amazon's templates, is the header.

    Args:
        rows: The first rows.

    Returns:
        The position; None where all rows are blank.
    """
    counts = [sum(map(bool, row)) for row in rows]
    if not any(counts):
        return None
    min_cells = max(1, 0.5 * max(counts))
    possible = [i for i, row in enumerate(rows) if counts[i] >= min_cells and _could_name_columns(row)]
    if not possible:
        return next(i for i, count in enumerate(counts) if count >= min_cells)
    best = max(possible, key=lambda i: (_roles(rows[i]), -i))
    if not _roles(rows[best]):
        best = possible[0]
    below = best + 1
    return (
        below if below in possible and _is_technical(rows[below]) and not _is_technical(rows[best]) else best
    )


def _could_name_columns(row: Sequence[str]) -> bool:
    cells = [cell for cell in row if cell]
    words = [cell for cell in cells if not _NUMBER.fullmatch(cell) and len(cell) <= 200]
    return len(set(cells)) >= 0.8 * len(cells) and len(words) >= 0.8 * len(cells)


def _is_technical(row: Sequence[str]) -> bool:
    cells = [cell for cell in row if cell]
    return all(map(_TECHNICAL.fullmatch, cells)) and sum("_" in cell for cell in cells) >= 0.3 * len(cells)


def _roles(names: Sequence[str]) -> int:
    """How many roles the names state."""
    ranks = ((role, rank(role, name)) for name in names if name and len(name) <= 200 for role in _ROLES)
    return len({role for role, rank_ in ranks if rank_ is not None and rank_.tier < VAGUE})
