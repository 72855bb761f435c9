"""Sets cells of an Excel workbook (.xlsx, .xlsm); all its other parts are copied.

The XML of the sheet is edited as a stream; formats, formulas, charts and other sheets stay as they are.
"""

import io
import re
import xml.parsers.expat as expat
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aisle.data.files import TableFile
from aisle.data.readers.base import ReadOptions
from aisle.data.readers.sheets import LocatedRecords, locate_records
from aisle.data.readers.spreadsheet_reader import sheets_of
from aisle.data.rewriting.edits import CellEditor, RewriteSummary
from aisle.errors import CatalogError, extra

ENDINGS = (".xlsx", ".xlsm")
_PIECE = 256 * 1024  # bytes parsed at once
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_NUMBER = re.compile(r"\d\.\d+")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CALC_CHAIN = "xl/calcChain.xml"  # lists the cells with formulas
_CHAIN_ENTRY = re.compile(rb"<(?:Override|Relationship)\b[^>]*calcChain[^>]*/>")

RowEdits = Iterator[tuple[int, Mapping[int, str]]]  # row and columns from 0, rows ascending


def rewrite_workbook(
    table: TableFile,
    out: BinaryIO,
    editor: CellEditor,
    options: ReadOptions = ReadOptions(),  # noqa: B008
) -> RewriteSummary:
    """Copy a workbook and set cells of its records as text, or as numbers where they have a decimal point.

    Args:
        table: The file.
        out: Receives the new workbook.
        editor: Gives the new cells.
        options: How the file is read.

    Raises:
        CatalogError: The file is damaged, or a workbook of another format.
        MissingExtraError: python-calamine is not installed.
    """
    calamine: Any = extra("python_calamine", "excel", str(table.path))
    with table.open() as file:
        data = file.read()
    summary = RewriteSummary()
    try:
        with (
            zipfile.ZipFile(io.BytesIO(data)) as source,
            calamine.load_workbook(io.BytesIO(data)) as workbook,
        ):
            sheets, parts = sheets_of(workbook, calamine), _sheet_parts(source)
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
                done, formulas = set(), False
                for located in locate_records(sheets, table.path):
                    name = sheets[located.sheet].name
                    grid = workbook.get_sheet_by_name(name)
                    editing = _SheetEdits(editor, located, grid.start[1], grid.end[1] + 1, summary)
                    copier = _SheetCopier(editing.rows(), editing.last_column)
                    with (
                        source.open(parts[name]) as old,
                        target.open(_copied(source, parts[name]), "w", force_zip64=True) as new,
                    ):
                        copier.copy(old, new)
                    done.add(parts[name])
                    formulas |= copier.formulas
                _copy_others(source, target, done, formulas)
    except (zipfile.BadZipFile, KeyError, expat.ExpatError, calamine.CalamineError) as error:
        raise CatalogError(f"{table.path}: not a whole .xlsx workbook, the only kind written back") from error
    return summary


def _sheet_parts(source: zipfile.ZipFile) -> dict[str, str]:
    """The file in the archive of each sheet, by its name."""
    relations = ElementTree.fromstring(source.read("xl/_rels/workbook.xml.rels"))
    targets = {one.get("Id"): str(one.get("Target")) for one in relations}
    workbook = ElementTree.fromstring(source.read("xl/workbook.xml"))
    found = {}
    for sheet in workbook.iter():
        if sheet.tag.endswith("}sheet") and sheet.get(_RELATION) in targets:
            target = targets[sheet.get(_RELATION)]
            found[str(sheet.get("name"))] = target[1:] if target.startswith("/") else f"xl/{target}"
    return found


def _copied(source: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    old = source.getinfo(name)
    new = zipfile.ZipInfo(name, old.date_time)
    new.compress_type, new.external_attr = old.compress_type, old.external_attr
    return new


def _copy_others(source: zipfile.ZipFile, target: zipfile.ZipFile, done: set[str], formulas: bool) -> None:
    """Copy all other parts. Where a formula was replaced, Excel makes the list of formulas anew."""
    for info in source.infolist():
        if info.filename in done or (formulas and info.filename == _CALC_CHAIN):
            continue
        data = source.read(info)
        if formulas and info.filename in ("[Content_Types].xml", "xl/_rels/workbook.xml.rels"):
            data = _CHAIN_ENTRY.sub(b"", data)
        target.writestr(_copied(source, info.filename), data)


class _SheetEdits:
    """The edits of one sheet, and where columns that it lacks are added."""

    def __init__(
        self, editor: CellEditor, located: LocatedRecords, left: int, width: int, summary: RewriteSummary
    ) -> None:
        self.editor, self.located, self.summary = editor, located, summary
        self._read = list(located.columns)
        self._columns: list[int] = []
        self._added: dict[int, str] = {}
        for name in editor.columns:
            if name in located.columns:
                self._columns.append(left + located.columns[name])
            else:
                self._columns.append(width + len(self._added))
                self._added[self._columns[-1]] = name
        self.last_column = max(self._added, default=None)

    def rows(self) -> RowEdits:
        """(row, new text by column) of the header and of each record that is edited."""
        if self._added:
            yield self.located.header, self._added
        for row, cells in self.located.records:
            old = dict(zip(self._read, cells, strict=True))
            new = self.editor(self.summary.rows, [old.get(name) for name in self.editor.columns])
            self.summary.rows += 1
            self.summary.changed += new[0] is not None
            changes = {k: v for k, v in zip(self._columns, new, strict=True) if v is not None}
            if changes:
                yield row, changes


class _XmlCell(NamedTuple):
    """A cell: its column from 0, and where its tags start, in bytes."""

    column: int
    start: int
    end: int


class _SheetCopier:
    """Copies the XML of a sheet.

    Attributes:
        formulas: Whether a formula was replaced.
    """

    def __init__(self, edits: RowEdits, last_column: int | None) -> None:
        self.formulas = False
        self._edits, self._last_column = edits, last_column
        self._next = next(edits, None)
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._data, self._base = b"", 0  # not written yet, and its position
        self._out: list[bytes] = []
        self._row, self._row_start, self._column = -1, -1, -1
        self._cells: list[_XmlCell] = []
        self._cell_start = -1
        self._prefix = ""

    def copy(self, old: Any, new: Any) -> None:
        """Copy a sheet from one file to another."""
        while piece := old.read(_PIECE):
            self._data += piece
            self._parser.Parse(piece, False)
            new.write(b"".join(self._out))
            self._out.clear()
        self._parser.Parse(b"", True)
        new.write(b"".join([*self._out, self._data]))

    def _pass(self, until: int) -> bytes:
        """The bytes up to a position, which are not needed any more."""
        found = self._data[: until - self._base]
        self._data, self._base = self._data[until - self._base :], until
        return found

    def _tag_end(self, start: int) -> int:
        return self._base + self._data.index(b">", start - self._base) + 1

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        prefix, _, local = name.rpartition(":")
        at = self._parser.CurrentByteIndex
        if local == "row":
            self._prefix = f"{prefix}:" if prefix else ""
            self._row = int(attributes["r"]) - 1 if "r" in attributes else self._row + 1
            self._row_start, self._column, self._cells = at, -1, []
        elif local == "c" and self._row_start >= 0:
            self._column = _column_number(attributes["r"]) if "r" in attributes else self._column + 1
            self._cell_start = at
        elif local == "dimension" and self._last_column is not None:
            self._widen(at, attributes.get("ref", ""))

    def _widen(self, at: int, ref: str) -> None:
        """The sheet's range with the columns that are added."""
        first, _, last = ref.partition(":")
        row = re.sub(r"\D", "", last or first)
        end = self._tag_end(at)
        self._out.append(self._pass(at))
        wide = f"{first}:{_column_name(self._last_column or 0)}{row}"
        self._out.append(self._pass(end).replace(f'"{ref}"'.encode(), f'"{wide}"'.encode()))

    def _end(self, name: str) -> None:
        local, at = name.rpartition(":")[2], self._parser.CurrentByteIndex
        if local == "c" and self._row_start >= 0:
            self._cells.append(_XmlCell(self._column, self._cell_start, at))
        elif local == "row":
            self._end_row(at)
        elif local == "sheetData":
            self._out.append(self._pass(at))
            self._missing_rows(None)

    def _missing_rows(self, before: int | None) -> None:
        """Rows that have edits, but no XML, because a merged cell covers them."""
        while self._next is not None and (before is None or self._next[0] < before):
            row, edits = self._next
            cells = "".join(self._cell(column, row, text) for column, text in sorted(edits.items()))
            self._out.append(f'<{self._prefix}row r="{row + 1}">{cells}</{self._prefix}row>'.encode())
            self._next = next(self._edits, None)

    def _end_row(self, at: int) -> None:
        self._out.append(self._pass(self._row_start))
        self._missing_rows(self._row)
        if self._next is not None and self._next[0] == self._row:
            self._out.append(self._edited(at, self._next[1]))
            self._next = next(self._edits, None)
        self._row_start = -1

    def _edited(self, end: int, edits: Mapping[int, str]) -> bytes:
        """The XML of a row up to its end tag, with new cells."""
        start = self._base
        tag_end = self._tag_end(start)
        opening = self._data[: tag_end - start]
        if self._last_column is not None:
            opening = re.sub(rb"\sspans=(?:\"[^\"]*\"|'[^']*')", b"", opening)
        is_empty = opening.endswith(b"/>")
        parts = [opening[:-2].rstrip() + b">"] if is_empty else [opening]
        at, left = tag_end - start, dict(edits)
        for cell in self._cells:
            for column in sorted(column for column in left if column < cell.column):
                parts += [
                    self._data[at : cell.start - start],
                    self._cell(column, self._row, left.pop(column)).encode(),
                ]
                at = cell.start - start
            if cell.column in left:
                parts.append(self._data[at : cell.start - start])
                at = self._cell_end(cell) - start
                old = self._data[cell.start - start : at]
                self.formulas |= b"<f" in old
                parts.append(self._cell(cell.column, self._row, left.pop(cell.column), old).encode())
        parts.append(self._data[at : end - start] if not is_empty else b"")
        parts += [self._cell(column, self._row, text).encode() for column, text in sorted(left.items())]
        if is_empty:
            parts.append(f"</{self._prefix}row>".encode())
        self._pass(end)
        return b"".join(parts)

    def _cell_end(self, cell: _XmlCell) -> int:
        """Where a cell ends; the end of an empty tag is already its end."""
        closed = (
            self._data[: cell.end - self._base].endswith(b"/>")
            and self._data[cell.end - self._base : cell.end - self._base + 2] != b"</"
        )
        return cell.end if closed else self._tag_end(cell.end)

    def _cell(self, column: int, row: int, text: str, old: bytes = b"") -> str:
        tag, p = old[: old.find(b">") + 1], self._prefix
        style = re.search(rb"\ss=(?:\"(\d+)\"|'(\d+)')", tag)
        number = "" if style is None else f' s="{(style[1] or style[2]).decode()}"'
        place = f'r="{_column_name(column)}{row + 1}"{number}'
        if _NUMBER.fullmatch(text):
            return f"<{p}c {place}><{p}v>{text}</{p}v></{p}c>"
        if not text:
            return f"<{p}c {place}/>"
        shown = escape(_ILLEGAL.sub(" ", text))
        value = f'<{p}is><{p}t xml:space="preserve">{shown}</{p}t></{p}is>'
        return f'<{p}c {place} t="inlineStr">{value}</{p}c>'


def _column_number(ref: str) -> int:
    """The column of a cell such as `AB12`, from 0."""
    number = 0
    for letter in ref:
        if letter.isalpha():
            number = 26 * number + ord(letter.upper()) - 64
    return number - 1


def _column_name(column: int) -> str:
    """The letters of a column, from 0."""
    name, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
