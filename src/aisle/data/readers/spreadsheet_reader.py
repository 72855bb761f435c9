"""Spreadsheets: Excel (.xlsx, .xlsm, .xlsb, .xls) and OpenDocument (.ods)."""

import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from aisle.data.files import TableFile
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions, TableReader
from aisle.data.readers.sheets import Sheet, every_sheet, sheet_batches
from aisle.errors import CatalogError, extra


class SpreadsheetReader(TableReader):
    """Workbooks, by python-calamine, which holds one sheet at a time in memory."""

    endings = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
    folder_endings = (".xlsx", ".xlsb", ".xls", ".ods")

    def read(
        self, table: TableFile, problems: Problems, first: int, options: ReadOptions
    ) -> Iterator[pa.RecordBatch]:
        """Read the sheet that holds the products, and sheets with the same header.

        Raises:
            CatalogError: The file is damaged, protected by a password, or holds no table.
            MissingExtraError: python-calamine is not installed.
        """
        calamine: Any = extra("python_calamine", "excel", str(table.path))
        try:
            with table.open() as file:  # by content: an .xls may be saved under the name .xlsx
                source = io.BytesIO(file.read())
            with calamine.load_workbook(source) as workbook:
                yield from sheet_batches(sheets_of(workbook, calamine), table.path, problems, first)
        except calamine.PasswordError as error:
            raise CatalogError(f"{table.path}: protected by a password: save it without one") from error
        except calamine.CalamineError as error:
            message = str(error).splitlines()[0]
            raise CatalogError(f"{table.path}: not a whole spreadsheet: {message}") from error

    def estimate_rows(self, table: TableFile) -> int | None:
        """None: to count the rows is to read them."""
        return None


def sheet_tables(table: TableFile) -> Iterator[pa.RecordBatch]:
    """The records of each sheet of a workbook; none from other files.

    Args:
        table: The file, which can be read.

    Raises:
        MissingExtraError: python-calamine is not installed.
    """
    if table.ending not in SpreadsheetReader.endings:
        return
    calamine: Any = extra("python_calamine", "excel", str(table.path))
    with table.open() as file:
        source = io.BytesIO(file.read())
    with calamine.load_workbook(source) as workbook:
        yield from every_sheet(sheets_of(workbook, calamine))


def sheets_of(workbook: Any, calamine: Any) -> list[Sheet]:
    """The worksheets of an open workbook, hidden ones last.

    Args:
        workbook: The workbook, as python-calamine opens it.
        calamine: The module `python_calamine`.
    """
    names = [sheet.name for sheet in _visible_first(workbook, calamine)]
    return [Sheet(name, partial(_rows, workbook, name)) for name in names]


def _visible_first(workbook: Any, calamine: Any) -> Sequence[Any]:
    """The worksheets, hidden ones last."""
    visible = calamine.SheetVisibleEnum.Visible
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == calamine.SheetTypeEnum.WorkSheet]
    return sorted(sheets, key=lambda sheet: sheet.visible != visible)


def _rows(workbook: Any, name: str) -> Iterator[list[Any]]:
    """The rows of a sheet; a cell that is merged over several rows has its value in each of them."""
    sheet = workbook.get_sheet_by_name(name)
    if sheet.start is None:
        return
    left = sheet.start[1]  # `iter_rows` gives blank rows above the first cell, no blank columns before it
    starts: dict[int, list[tuple[int, int]]] = {}
    for (start, column), (end, _) in sheet.merged_cell_ranges or ():
        if end > start:
            starts.setdefault(start, []).append((column - left, end))
    merged: dict[int, tuple[int, Any]] = {}
    for number, row in enumerate(sheet.iter_rows()):
        for column, (end, value) in list(merged.items()):
            if number > end:
                del merged[column]
            elif column < len(row):
                row[column] = value
        for column, end in starts.get(number, ()):
            if column < len(row):
                merged[column] = end, row[column]
        yield row
