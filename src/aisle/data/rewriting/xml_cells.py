"""Sets elements of the records of an XML document; all other text stays as it is."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import BinaryIO, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from aisle.data.files import TableFile
from aisle.data.readers.base import ReadOptions
from aisle.data.readers.xml_reader import xml_pieces
from aisle.data.readers.xml_records import XmlParser, find_record_path, same_length_text
from aisle.data.readers.xml_structure import XmlPath
from aisle.data.rewriting.edits import CellEditor, RewriteSummary
from aisle.data.rewriting.raw_lines import split_mark
from aisle.encodings import HEAD, KEPT, SAMPLE, detect, document_ending
from aisle.errors import CatalogError

_PAGES = (".html", ".htm", ".xhtml")
_START_TAG = re.compile(rb"<([^\s/>]+)(?:\"[^\"]*\"|'[^']*'|[^'\">])*>")
_CDATA = re.compile(rb"\s*<!\[CDATA\[.*\]\]>\s*", re.DOTALL)


def is_document(table: TableFile) -> bool:
    """Whether a file is a document of records, not a page or workbook; by its ending if it is absent."""
    if not table.path.exists():
        return table.ending not in _PAGES
    with table.open() as file:
        head = file.read(HEAD)
    return document_ending(head, detect(head).name) == ".xml" and b"office:spreadsheet" not in head[:4096]


def rewrite_xml(
    table: TableFile,
    out: BinaryIO,
    editor: CellEditor,
    options: ReadOptions = ReadOptions(),  # noqa: B008
) -> RewriteSummary:
    """Copy an XML document and set elements of its records.

    The text of the first element of a column is replaced, as CDATA where it was CDATA. An element that a
    record lacks is added after the record's last child.

    Args:
        table: The file.
        out: Receives the new document.
        editor: Gives the new texts.
        options: How the file is read.

    Raises:
        CatalogError: The document is not well-formed, holds no records, or is HTML or a workbook.
    """
    with table.open() as file:
        sample = file.read(SAMPLE)
    found = detect(sample, options.encoding)
    mark, encoding = split_mark(sample, found.name)
    if not is_document(table):
        raise CatalogError(f"{table.path}: a page or workbook in XML cannot be written back")
    path, _ = find_record_path(xml_pieces(table, encoding, len(mark)), str(table.path))
    out.write(mark)
    finder = _RecordFinder(path, str(table.path))
    copier = _XmlCopier(out, encoding, editor, finder)
    for piece in xml_pieces(table, encoding, len(mark)):
        copier.feed(piece)
    copier.feed("", final=True)
    return copier.summary


class _XmlChild(NamedTuple):
    """An element of a record: its column, its text, and where its tags start, in bytes."""

    column: str
    text: str
    start: int
    end: int
    label: str | None = None  # its attribute `name`


class _XmlRecord(NamedTuple):
    """A record: where its tags start, in bytes, and its elements in the order of their ends.

    Attributes:
        tag: The name of all its elements, where each names its column by an attribute, as databases export.
    """

    start: int
    end: int
    children: list[_XmlChild]
    tag: str | None = None


def _xml_record(start: int, end: int, children: list[_XmlChild]) -> _XmlRecord:
    labels, tags = [child.label for child in children], {child.column for child in children}
    if len(tags) != 1 or len(labels) < 2 or not all(labels) or len(set(labels)) < len(labels):
        return _XmlRecord(start, end, children)
    named = [child._replace(column=str(child.label)) for child in children]
    return _XmlRecord(start, end, named, children[0].column)


class _RecordFinder:
    """Finds the records of a document, as a handler of `XmlParser`."""

    def __init__(self, path: XmlPath, name: str) -> None:
        self.path = path
        self.parser = XmlParser(name, self)
        self.done: list[_XmlRecord] = []
        self.position = 0  # up to which the document is parsed, in bytes
        self._open: list[str] = []
        self._starts: list[int] = []
        self._texts: list[list[str]] = []  # of the open elements
        self._labels: list[str | None] = []
        self._children: list[_XmlChild] = []

    def start_element(self, name: str, attributes: dict[str, str]) -> None:
        """A start tag."""
        self.position = self.parser.parser.CurrentByteIndex
        self._open.append(name)
        self._starts.append(self.position)
        if len(self._open) == len(self.path):
            self._children = []
        self._texts.append([])
        self._labels.append(attributes.get("name"))

    def data(self, text: str) -> None:
        """Characters."""
        if self._texts and len(self._open) > len(self.path):
            self._texts[-1].append(text)

    def end_element(self, _: str) -> None:
        """An end tag."""
        self.position = self.parser.parser.CurrentByteIndex
        depth, names = len(self.path), self._open[len(self.path) :]
        in_record = len(self._open) >= depth and tuple(self._open[:depth]) == self.path
        self._open.pop()
        start, text, label = self._starts.pop(), "".join(self._texts.pop()).strip(), self._labels.pop()
        if in_record and names:
            self._children.append(_XmlChild(".".join(names), text, start, self.position, label))
        elif in_record:
            self.done.append(_xml_record(start, self.position, self._children))

    @property
    def parsed(self) -> int:
        """Up to which nothing more is edited: the start of the open record, or what is parsed."""
        depth = len(self.path)
        in_record = len(self._open) >= depth and tuple(self._open[:depth]) == self.path
        return self._starts[depth - 1] if in_record else self.position


class _TextEdit(NamedTuple):
    """New text for a range of bytes."""

    start: int
    end: int
    text: str


class _XmlCopier:
    """Copies the document and applies the editor's changes to each record.

    expat counts bytes of the UTF-8 text that it is given, in which illegal characters are replaced. They are
    mapped to the characters of the document, which are written in its own encoding.
    """

    def __init__(self, out: BinaryIO, encoding: str, editor: CellEditor, finder: _RecordFinder) -> None:
        self.out, self.encoding, self.editor, self.finder = out, encoding, editor, finder
        self.summary = RewriteSummary()
        self._begun = False
        self._text = ""  # not written yet
        self._parsed = b""  # the same, as it is parsed
        self._base = 0  # position of `_parsed` in the document

    def feed(self, piece: str, final: bool = False) -> None:
        """Parse the next block, and write the complete part."""
        if not self._begun and piece:
            body = piece.lstrip("\ufeff \t\r\n")
            self.out.write(piece[: len(piece) - len(body)].encode(self.encoding, KEPT))
            piece, self._begun = body, bool(body)
        clean = same_length_text(piece)
        self._text += piece
        self._parsed += clean.encode()
        self.finder.parser.feed(clean, final)
        edits = list(chain.from_iterable(map(self._edits, self.finder.done)))
        self.finder.done.clear()
        self._write(edits, self._base + len(self._parsed) if final else self.finder.parsed)

    def _write(self, edits: Sequence[_TextEdit], until: int) -> None:
        for edit in edits:
            self._copy(edit.start)
            self.out.write(edit.text.encode(self.encoding, "xmlcharrefreplace"))
            self._copy(edit.end, skip=True)
        self._copy(until)

    def _copy(self, until: int, skip: bool = False) -> None:
        size = until - self._base
        count = len(self._parsed[:size].decode())
        if not skip:
            self.out.write(self._text[:count].encode(self.encoding, KEPT))
        self._text, self._parsed, self._base = self._text[count:], self._parsed[size:], until

    def _edits(self, record: _XmlRecord) -> list[_TextEdit]:
        first = {child.column: child for child in reversed(record.children)}
        columns = self.editor.columns
        old = [first[column].text if column in first else None for column in columns]
        new = self.editor(self.summary.rows, old)
        self.summary.rows += 1
        self.summary.changed += new[0] is not None
        found, added = [], []
        for column, value in zip(columns, new, strict=True):
            if value is not None and column in first:
                found.append(self._replaced(first[column], value))
            elif value is not None:
                added.append(self._element(column, value, record))
        if added:
            found.append(self._inserted(record, added))
        return sorted(found)

    def _tag(self, start: int) -> "re.Match[bytes]":
        tag = _START_TAG.match(self._parsed, start - self._base)
        assert tag is not None
        return tag

    def _replaced(self, child: _XmlChild, value: str) -> _TextEdit:
        tag = self._tag(child.start)
        if tag[0].endswith(b"/>"):
            name, opening = tag[1].decode(), tag[0][:-2].rstrip().decode()
            return _TextEdit(child.start, child.end, f"{opening}>{escape(value)}</{name}>")
        start = self._base + tag.end()
        is_cdata = _CDATA.fullmatch(self._parsed[tag.end() : child.end - self._base]) and "]]>" not in value
        return _TextEdit(start, child.end, f"<![CDATA[{value}]]>" if is_cdata else escape(value))

    def _inserted(self, record: _XmlRecord, elements: Iterable[str]) -> _TextEdit:
        """Elements after the last child of a record, indented like it."""
        if not record.children:
            tag = self._tag(record.start)
            if tag[0].endswith(b"/>"):
                opening = tag[0][:-2].rstrip().decode()
                return _TextEdit(
                    record.start, record.end, f"{opening}>{''.join(elements)}</{tag[1].decode()}>"
                )
            return _TextEdit(record.end, record.end, "".join(elements))
        last = record.children[-1]
        before = self._parsed[: last.start - self._base]
        indent = before[len(before.rstrip()) :].decode()
        end = last.end
        if not self._tag(last.start)[0].endswith(b"/>"):
            end = self._base + self._parsed.index(b">", last.end - self._base) + 1
        return _TextEdit(end, end, "".join(indent + element for element in elements))

    def _element(self, column: str, value: str, record: _XmlRecord) -> str:
        if record.tag is not None:
            return f"<{record.tag} name={quoteattr(column)}>{escape(value)}</{record.tag}>"
        name = re.sub(r"[^\w.:-]+", "_", column.strip())
        prefixed = sum(child.column.startswith("g:") for child in record.children)
        if name.startswith("google_") and 2 * prefixed >= len(record.children) > 0:
            name = f"g:{name}"
        prefix, colon, local = name.rpartition(":")
        if colon:  # as the document calls the namespace
            raw = [key for key, known in self.finder.parser.prefixes.items() if known == prefix]
            prefix = raw[0] if raw else prefix if prefixed else ""
            name = f"{prefix}:{local}" if prefix else local
        return f"<{name}>{escape(value)}</{name}>"
