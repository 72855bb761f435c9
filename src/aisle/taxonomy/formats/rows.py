"""Tables of categories as rows of text, from CSV and workbooks."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aisle.errors import TaxonomyError, extra, first_line
from aisle.taxonomy.entries import fold

SHEETS = (".xlsx", ".xls", ".xlsb", ".ods")
_SEPARATORS = ",;\t|"


class CategoryRows(NamedTuple):
    """A table of text.

    Attributes:
        header: column names as in the file.
        body: number of the row from 1, and its cells, one per column.
    """

    header: list[str]
    body: list[tuple[int, list[str]]]

    @property
    def folded(self) -> list[str]:
        """Column names for comparison."""
        return [fold(name) for name in self.header]

    @property
    def lower(self) -> list[str]:
        """Column names in lower case."""
        return [name.casefold() for name in self.header]

    def column(self, *names: str) -> int | None:
        """The first column with one of these folded names."""
        folded = self.folded
        return next((folded.index(name) for name in names if name in folded), None)

    def cells(self, column: int) -> list[str]:
        """All cells of a column."""
        return [row[column].strip() for _, row in self.body]


def csv_rows(text: str) -> CategoryRows:
    """The rows of CSV text; its delimiter is that of most cells in the first line.

    Raises:
        TaxonomyError: no row below the header.
    """
    first = text.lstrip("\ufeff \t\r\n").split("\n", 1)[0]
    delimiter = max(_SEPARATORS, key=first.count)
    rows = [
        [cell.replace("\x00", "") for cell in row]
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    ]
    return table_of(rows)


def table_of(rows: list[list[str]]) -> CategoryRows:
    """A table of rows; lines of comments before the header, and empty rows, are left out.

    Raises:
        TaxonomyError: no row below the header.
    """
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    while len(rows) > 1 and (rows[0][0].lstrip().startswith("#") or _is_title(rows)):
        rows = rows[1:]
    if len(rows) < 2:
        raise TaxonomyError("the file holds no category below its header")
    header = [name.strip().lstrip("\ufeff") for name in rows[0]]
    width = len(header)
    return CategoryRows(
        header, [(n, [*row, *[""] * (width - len(row))][:width]) for n, row in enumerate(rows[1:], 1)]
    )


def _is_title(rows: list[list[str]]) -> bool:
    """Whether the first row is a title above the header: one cell, where the next rows have several."""
    filled = [sum(1 for cell in row if cell.strip()) for row in rows[:4]]
    return filled[0] == 1 and len(filled) > 2 and min(filled[1:]) > 1


def sheet_rows(path: Path) -> CategoryRows:
    """The rows of the largest sheet of a workbook.

    Raises:
        MissingExtraError: python-calamine is not installed.
        TaxonomyError: it cannot be read.
    """
    calamine: Any = extra("python_calamine", "excel", str(path))
    try:
        with calamine.load_workbook(str(path)) as book:
            sheets = [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]
    except (calamine.CalamineError, OSError) as error:
        raise TaxonomyError(f"{path}: the workbook cannot be read: {first_line(error)}") from error
    rows = max(sheets, key=len, default=[])
    return table_of([[_cell(value) for value in row] for row in rows])


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def object_rows(items: list[Mapping[str, object]]) -> CategoryRows:
    """The rows of flat JSON objects; a nested object becomes a column per key: `labels` `en_US`."""
    flat = [_flat(item) for item in items]
    header = list(dict.fromkeys(name for item in flat for name in item))
    return CategoryRows(
        header, [(n, [item.get(name, "") for name in header]) for n, item in enumerate(flat, 1)]
    )


def _flat(item: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    fields: dict[str, str] = {}
    for key, value in item.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            fields |= _flat({str(k): v for k, v in value.items()}, f"{name}-")
        elif value is not None and not isinstance(value, list):
            fields[name] = str(value)
    return fields
