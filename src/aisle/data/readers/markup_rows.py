"""Rows of cells in markup: tables of HTML pages, and workbooks in Excel's XML of 2003."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from html.parser import HTMLParser
from itertools import islice
from typing import Any

from aisle.data.readers.sheets import Sheet
from aisle.data.readers.xml_records import XmlParser

EXCEL_NAMESPACE = "urn:schemas-microsoft-com:office:spreadsheet"
_BLOCKS = {"p", "div", "li", "br"}  # tags between which a cell's text has a line break
_PIECES = 128  # of a page, in which each of its tables begins
_Row = tuple[int, list[str]]  # the number of its table, and its cells
Pieces = Callable[[], Iterable[str]]


def html_sheets(pieces: Pieces) -> list[Sheet]:
    """The tables of a page.

    Args:
        pieces: Iterates over the text of the page from the start.
    """
    start = islice(pieces(), _PIECES)
    count = max((number for number, _ in _html_rows(start)), default=0)
    return [Sheet(f"table {n}", partial(_rows_of, _html_rows, pieces, n)) for n in range(1, count + 1)]


def excel_xml_sheets(pieces: Pieces, name: str) -> list[Sheet]:
    """The sheets of a workbook in XML.

    Args:
        pieces: Iterates over the text of the file from the start.
        name: The file, for messages.

    Raises:
        CatalogError: The XML is not well-formed, or ends in its middle.
    """
    handler = _WorkbookHandler()
    for _ in _workbook_rows(pieces(), name, handler):
        pass
    read = partial(_workbook_rows, name=name)
    return [Sheet(sheet, partial(_rows_of, read, pieces, n)) for n, sheet in enumerate(handler.sheets, 1)]


def _rows_of(
    read: Callable[[Iterable[str]], Iterator[_Row]], pieces: Pieces, number: int
) -> Iterator[list[str]]:
    return (cells for table, cells in read(pieces()) if table == number)


def _html_rows(pieces: Iterable[str]) -> Iterator[_Row]:
    parser = _TableParser()
    for text in pieces:
        parser.feed(text)
        yield from parser.pop()
    parser.close()
    parser.end_row()
    yield from parser.pop()


class _TableParser(HTMLParser):
    """Collects rows; the text of a table inside a cell belongs to the cell."""

    def __init__(self) -> None:
        super().__init__()
        self._done: list[_Row] = []
        self._tables = self._depth = 0
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._span = 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A start tag."""
        if tag == "table":
            self._depth += 1
            self._tables += self._depth == 1
        elif self._depth == 1 and tag == "tr":
            self.end_row()
            self._row = []
        elif self._depth == 1 and tag in ("td", "th"):
            self._end_cell()
            self._row = [] if self._row is None else self._row
            span = dict(attrs).get("colspan") or "1"
            self._cell, self._span = [], int(span) if span.isdecimal() and len(span) < 4 else 1
        elif self._cell is not None:
            source = dict(attrs).get("src")
            self._cell.append(source if tag == "img" and source else "\n" * (tag in _BLOCKS))

    def handle_endtag(self, tag: str) -> None:
        """An end tag."""
        if tag == "table" and self._depth:
            if self._depth == 1:
                self.end_row()
            self._depth -= 1
        elif self._depth == 1 and tag in ("td", "th"):
            self._end_cell()
        elif self._depth == 1 and tag == "tr":
            self.end_row()

    def handle_data(self, data: str) -> None:
        """Characters."""
        if self._cell is not None:
            self._cell.append(data)

    def _end_cell(self) -> None:
        if self._cell is not None and self._row is not None:
            self._row += ["".join(self._cell).strip(), *[""] * (self._span - 1)]
        self._cell = None

    def end_row(self) -> None:
        """End the row, if one is open: end tags are optional in HTML."""
        self._end_cell()
        if self._row is not None:
            self._done.append((self._tables, self._row))
        self._row = None

    def pop(self) -> list[_Row]:
        """The complete rows, once."""
        rows, self._done = self._done, []
        return rows


def _workbook_rows(
    pieces: Iterable[str], name: str, handler: "_WorkbookHandler | None" = None
) -> Iterator[_Row]:
    handler = handler or _WorkbookHandler()
    parser = XmlParser(name, handler)
    for i, text in enumerate(pieces):
        parser.feed(text if i else text.lstrip("\ufeff \t\r\n"))
        yield from handler.pop()
    parser.feed("", final=True)
    yield from handler.pop()


class _WorkbookHandler:
    """Collects the rows of `Worksheet`, `Row`, `Cell` and `Data` elements; `Index` places a cell."""

    def __init__(self) -> None:
        self.sheets: list[str] = []
        self._done: list[_Row] = []
        self._row: list[str] = []
        self._text: list[str] | None = None
        self._open: list[str] = []

    def start_element(self, name: str, attributes: dict[str, str]) -> None:
        """A start tag."""
        name = name.rpartition(":")[2]
        values: dict[str, Any] = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        self._open.append(name)
        if name == "Worksheet":
            self.sheets.append(values.get("Name", f"sheet {len(self.sheets) + 1}"))
        elif name == "Row":
            self._row = []
        elif name == "Cell":
            index = str(values.get("Index", ""))
            missing = int(index) - 1 - len(self._row) if index.isdecimal() and len(index) < 6 else 0
            self._row += [""] * missing + [""]
        elif name == "Data":
            self._text = []

    def data(self, text: str) -> None:
        """Characters."""
        if self._text is not None:
            self._text.append(text)

    def end_element(self, _: str) -> None:
        """An end tag."""
        name = self._open.pop()
        if name == "Data" and self._text is not None:
            if self._row:
                self._row[-1] = "".join(self._text)
            self._text = None
        elif name == "Row" and self.sheets:
            self._done.append((len(self.sheets), self._row))

    def pop(self) -> list[_Row]:
        """The complete rows, once."""
        rows, self._done = self._done, []
        return rows
