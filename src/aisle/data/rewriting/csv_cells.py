"""Sets cells of a CSV file; all other bytes stay as they are."""

from collections.abc import Sequence
from typing import BinaryIO

from aisle.data.batches import column_names
from aisle.data.files import TableFile
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions
from aisle.data.readers.csv_reader import CsvLayout, csv_layout
from aisle.data.readers.csv_rows import NO_DELIMITER, RawRecord, read_raw_records, split_numbers
from aisle.data.rewriting.csv_spans import FieldSpan, field_spans, quote, unquote
from aisle.data.rewriting.edits import CellEditor, RewriteSummary
from aisle.data.rewriting.raw_lines import RawLine, RawLines, splice


def rewrite_csv(
    table: TableFile,
    out: BinaryIO,
    editor: CellEditor,
    options: ReadOptions = ReadOptions(),  # noqa: B008
) -> RewriteSummary:
    """Copy a CSV file and set cells.

    A new cell is quoted if the cell it replaces is, or if it must be. An added cell is quoted if all column
    names are. Encoding, byte-order mark, line ends and lines before the column names are kept.

    Args:
        table: The file.
        out: Receives the new file.
        editor: Gives the new cells.
        options: How the file is read.

    Raises:
        CatalogError: The file has another format.
    """
    layout = csv_layout(table, Problems(), options)
    with table.open() as file:
        lines = RawLines(file, layout.encoding)
        out.write(lines.mark)
        for _ in range(layout.skipped):
            next(lines)
        writer = _CsvWriter(out, editor, lines, layout)
        for record in read_raw_records(lines, layout.dialect):
            writer.write(record)
        for line in lines.rest():
            out.write(line.data)
    return writer.summary


class _CsvWriter:
    def __init__(self, out: BinaryIO, editor: CellEditor, lines: RawLines, layout: CsvLayout) -> None:
        self.out, self.editor, self.lines = out, editor, lines
        self.dialect, self.skipped = layout.dialect, layout.skipped
        self.mark = "," if self.dialect.delimiter == NO_DELIMITER else self.dialect.delimiter
        self.summary = RewriteSummary()
        self.width = -1  # until the header is read
        self.columns: list[int | None] = []  # the position of each column that is set
        self.quoted = False

    def write(self, record: RawRecord) -> None:
        lines = self.lines.take(self.skipped + record.end)
        first = len(lines) - record.lines
        for line in lines[:first]:  # blank lines, and those before the header
            self.out.write(line.data)
        line = lines[first] if record.lines == 1 else _join(lines[first:])
        if self.width < 0:
            self.out.write(self._header(record.fields, line))
        else:
            self.out.write(self._record(record.fields, line))
            self.summary.rows += 1

    def _spans(self, line: RawLine) -> tuple[str, list[FieldSpan]]:
        """The text of a record without its line break, and its fields."""
        body = line.text.rstrip("\r\n")
        spans = field_spans(body, *self.dialect)
        if 0 < self.width < len(spans):
            fields = [unquote(body, span) for span in spans]
            for i in reversed(split_numbers(fields, self.width, self.dialect.delimiter)):
                spans[i : i + 2] = [FieldSpan(spans[i].start, spans[i + 1].stop, False)]
        return body, spans

    def _header(self, fields: list[str], line: RawLine) -> bytes:
        body, spans = self._spans(line)
        names = column_names(fields, Problems(), self.lines.encoding)
        self.width = len(names)
        self.columns = [names.index(c) if c in names else None for c in self.editor.columns]
        self.quoted = all(span.quoted for span in spans if span.stop > span.start)
        added = [c for c, position in zip(self.editor.columns, self.columns, strict=True) if position is None]
        return self._appended(line, body, [], added)

    def _record(self, fields: list[str], line: RawLine) -> bytes:
        old = [None if i is None else fields[i] if i < len(fields) else "" for i in self.columns]
        new = self.editor(self.summary.rows, old)
        added = [value or "" for value, i in zip(new, self.columns, strict=True) if i is None]
        pairs = zip(new, self.columns, strict=True)
        changes = {i: value for value, i in pairs if i is not None and value is not None}
        if not changes and not added:
            return line.data
        body, spans = self._spans(line)
        whole = len(spans) == self.width and all(unquote(body, spans[i]) == fields[i] for i in changes)
        if not whole:
            self.summary.malformed += new[0] is not None
            return line.data
        cuts = []
        for i in sorted(changes):
            start, stop, quoted = spans[i]
            cuts.append((start, stop, quote(changes[i], self.mark, quoted, self.dialect.skip_space)))
        try:
            data = self._appended(line, body, cuts, added)
        except UnicodeEncodeError:
            self.summary.unencodable += 1
            return self._appended(line, body, [], [""] * len(added))
        self.summary.changed += new[0] is not None
        return data

    def _appended(
        self, line: RawLine, body: str, cuts: list[tuple[int, int, str]], added: Sequence[str]
    ) -> bytes:
        mark, skip_space = self.mark, self.dialect.skip_space
        if added and mark != self.dialect.delimiter and mark in body and body[0] != '"':
            cuts = _quotes(body)  # a single column has no delimiter yet
        tail = "".join(mark + quote(value, mark, self.quoted, skip_space) for value in added)
        encoding = self.lines.encoding
        parts = [(start, stop, new.encode(encoding)) for start, stop, new in cuts]
        if tail:
            parts.append((len(body), len(body), tail.encode(encoding)))
        return splice(line, encoding, parts) if parts else line.data


def _join(lines: Sequence[RawLine]) -> RawLine:
    return RawLine(b"".join(line.data for line in lines), "".join(line.text for line in lines))


def _quotes(body: str) -> list[tuple[int, int, str]]:
    """Insertions that quote a line as one field."""
    inner = [(i, i, '"') for i, mark in enumerate(body) if mark == '"']
    return [(0, 0, '"'), *inner, (len(body), len(body), '"')]
