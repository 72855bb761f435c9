"""Sets values of the records of a JSON document or of JSON lines; all other text stays as it is."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from aisle.data.files import TableFile, text_pieces
from aisle.data.json_tables import as_text
from aisle.data.nested_values import unwrap
from aisle.data.readers.base import ReadOptions
from aisle.data.readers.json_reader import HEAD, PIECE, is_json_lines
from aisle.data.readers.json_records import JsonPath, find_records, is_page
from aisle.data.readers.json_stream import JsonError, JsonText, parse_prefix
from aisle.data.rewriting.edits import CellEditor, JsonCell, RewriteSummary
from aisle.data.rewriting.raw_lines import RawLines, split_mark
from aisle.encodings import KEPT, SAMPLE, detect
from aisle.errors import CatalogError

_VALUE = json.JSONDecoder(strict=False)
_BLANK = " \t\r\n\ufeff"


def rewrite_json(
    table: TableFile,
    out: BinaryIO,
    editor: CellEditor,
    options: ReadOptions = ReadOptions(),  # noqa: B008
) -> RewriteSummary:
    """Copy a JSON document or JSON lines, and set values of the records.

    A value becomes a string, or a list of one string where it was a list. A value that a record lacks is
    added after its last one, with the same blanks.

    Args:
        table: The file.
        out: Receives the new file.
        editor: Gives the new values as text.
        options: How the file is read.

    Raises:
        CatalogError: The file is not JSON, or its lines are pages of records.
    """
    with table.open() as file:
        sample = file.read(SAMPLE)
    name = detect(sample, options.encoding).name
    mark, encoding = split_mark(sample, name)
    records = _RecordEditor(editor, encoding)
    if is_json_lines(table, name):
        with table.open() as file:
            lines = RawLines(file, name)  # holds the file open
            _copy_lines(lines, out, records, table)
    else:
        out.write(mark)
        for part in _document(text_pieces(table, encoding, PIECE, len(mark)), records, table):
            out.write(part.encode(encoding, KEPT))
    return records.summary


def _copy_lines(lines: RawLines, out: BinaryIO, records: "_RecordEditor", table: TableFile) -> None:
    out.write(lines.mark)
    for number, text in enumerate(lines, 1):
        (line,) = lines.take(number)
        if not text.strip(_BLANK):
            out.write(line.data)
            continue
        body = text.strip(_BLANK)
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if records.summary.rows == 0 and isinstance(value, Mapping) and is_page(value):
            raise CatalogError(f"{table.path}: lines that are pages of records cannot be written back")
        edited = records.edited(body, value)
        if edited == body:
            out.write(line.data)
        else:
            start = text.index(body)
            parts = (text[:start], edited, text[start + len(body) :])
            out.write("".join(parts).encode(lines.encoding, KEPT))


class _RecordedText(JsonText):
    """JSON text that buffers the characters read."""

    def __init__(self, pieces: Iterable[str]) -> None:
        super().__init__(pieces)
        self._passed: list[str] = []
        self._mark = 0  # position in the text up to which it was given

    def _more(self) -> bool:
        read = self._text[self._mark : self._at]
        more = super()._more()
        if more:
            self._passed.append(read)
            self._mark = 0
        return more

    def passed(self) -> str:
        """The text that was read since the last call."""
        self._passed.append(self._text[self._mark : self._at])
        text, self._passed, self._mark = "".join(self._passed), [], self._at
        return text


def _document(pieces: Iterator[str], records: "_RecordEditor", table: TableFile) -> Iterator[str]:
    """The text of a document, with its records edited."""
    head = ""
    for piece in pieces:
        head += piece
        if len(head) >= HEAD:
            break
    try:
        path = find_records(parse_prefix(head)[0])
        source = _RecordedText(chain([head], pieces))
        while source.peek():
            yield from _records(source, path, records)
        yield source.passed()
    except JsonError as error:
        raise CatalogError(f"{table.path}: not JSON: {error}") from error


def _records(source: _RecordedText, path: JsonPath | None, records: "_RecordEditor") -> Iterator[str]:
    if path is None:
        source.peek()
        yield source.passed()
        value = source.value()
        yield records.edited(source.passed(), value)
        return
    for key in source.items():
        if not path:
            yield from _records(source, None, records)
        elif key == path[0]:
            yield from _records(source, path[1:], records)
        else:
            source.skip()
        yield source.passed()


class _Member(NamedTuple):
    """A member of an object: its key, its value, and where they are in the text."""

    key: str
    value: Any
    start: int
    key_end: int
    value_start: int
    value_end: int


class _RecordEditor:
    """Edits the text of records."""

    def __init__(self, editor: CellEditor, encoding: str) -> None:
        self.editor, self.encoding = editor, encoding
        self.summary = RewriteSummary()

    def edited(self, text: str, value: Any) -> str:
        """The text of one record with its new values; `value` is the record."""
        frame = value if isinstance(value, Mapping) else {}
        record = unwrap(frame)
        columns = self.editor.columns
        cells = {str(key).strip(): cell for key, cell in record.items()}
        new = self.editor(
            self.summary.rows, [as_text(cells[name]) if name in cells else None for name in columns]
        )
        self.summary.rows += 1
        changes = {name: cell for name, cell in zip(columns, new, strict=True) if cell is not None}
        if not changes:
            return text
        if not frame:
            self.summary.malformed += new[0] is not None
            return text
        self.summary.changed += new[0] is not None
        start = self._inner(text, frame, record)
        for name, cell in changes.items():
            text = self._set(text, start, name, cell)
        return text

    def _inner(self, text: str, frame: Mapping[str, Any], record: Mapping[str, Any]) -> int:
        """Where the object that holds the record's values starts: inside a frame such as `{"node": {…}}`."""
        if record is not frame:
            for member in _members(text, 0):
                if isinstance(member.value, Mapping) and member.key not in record:
                    return member.value_start
        return 0

    def _set(self, text: str, start: int, name: str, cell: str) -> str:
        members = _members(text, start)
        found = [member for member in members if member.key.strip() == name]
        if found:
            member = found[-1]  # of equal keys, the last one counts
            new = self._value(cell, isinstance(member.value, list))
            return text[: member.value_start] + new + text[member.value_end :]
        if not members:
            return text[: start + 1] + f'"{name}": {self._value(cell)}' + text[start + 1 :]
        last = members[-1]
        before = text[: last.start]
        blanks = before[len(before.rstrip(_BLANK)) :]
        colon = text[last.key_end : last.value_start]
        added = f",{blanks}{self._json(name)}{colon}{self._value(cell)}"
        return text[: last.value_end] + added + text[last.value_end :]

    def _value(self, cell: str, listed: bool = False) -> str:
        """A new value as JSON; `listed`: the value before it is a list."""
        if isinstance(cell, JsonCell):
            return self._json(json.loads(cell))
        return self._json([cell] if listed else cell)

    def _json(self, value: Any) -> str:
        text = json.dumps(value, ensure_ascii=False)
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return json.dumps(value)
        return text


def _members(text: str, start: int) -> list[_Member]:
    """The members of the object that starts at a position."""
    found: list[_Member] = []
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, key_end = _VALUE.raw_decode(text, at)
        value_start = _skip(text, _skip(text, key_end) + 1)
        value, value_end = _VALUE.raw_decode(text, value_start)
        found.append(_Member(key, value, at, key_end, value_start, value_end))
        at = _skip(text, value_end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at
