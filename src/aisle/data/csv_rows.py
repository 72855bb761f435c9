"""CSV as it is found in the world: each record that does not fit is named, none is swallowed.

The standard library's `csv` does the parsing, in its strict mode, because only there is the offending
physical record known. What strict mode refuses is read again leniently, and what happened is told.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

Note = Callable[..., None]  # (row, column, what, value, *, fatal)
_NEVER = "\x1f"  # parts nothing
_DELIMITERS = (",", ";", "\t", "|", "^")
_BLOCK = 8192  # lines that are parsed at once while nothing is wrong,
_BLOCK_CHARS = 16 * 2**20  # and about how many characters they have at most
FIELD = 16 * 2**20  # characters that one field may have
_JOINED = 2000  # lines that one record with unquoted line breaks may have


class Dialect(NamedTuple):
    """What parts the fields of a record."""

    delimiter: str
    skip_space: bool = False  # `"a", "b"`: the blank before the quote is no part of the field


class _Lines:
    """Lines that can be handed back. `taken`: those of the record being read; `used`: how many in all."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.used = 0
        self._size = 64  # lines of the next block: as many as their length allows

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        self.used += 1
        return line

    def hand_back(self, lines: list[str]) -> None:
        self._again.extendleft(reversed(lines))
        self.used -= len(lines)

    def block(self) -> list[str]:
        """The next lines up to one where every quote is closed, which in a sound file ends a record."""
        lines = list(islice(self._again, self._size))
        for _ in lines:
            self._again.popleft()
        lines += islice(self._lines, self._size - len(lines))
        mean = sum(map(len, lines)) // (len(lines) or 1) + 1
        self._size = min(_BLOCK, 4 * self._size, _BLOCK_CHARS // mean + 1)
        open_quote = sum(line.count('"') for line in lines) % 2
        while open_quote and len(lines) < 2 * self._size:
            line = next(self._lines, None) if not self._again else self._again.popleft()
            if line is None:
                break
            lines.append(line)
            open_quote ^= line.count('"') % 2
        self.used += len(lines)
        return lines


def sniff(sample: list[str], only: str | None = None) -> Dialect:
    """The delimiter under which the sample's records are most alike (`only`: it is known). Where none
    parts the header, there is one column."""
    best, best_score = Dialect(only or _body_delimiter(sample)), (0.0, 0)
    for delimiter in [only] if only else _DELIMITERS:
        for skip_space in (False, True):
            widths = _widths(sample, Dialect(delimiter, skip_space))
            if not widths or widths[0] < 2:
                continue
            alike = sum(width == widths[0] for width in widths) / len(widths)
            score = (round(alike, 2) if alike > 0.3 else 0.0, widths[0])
            if score > best_score:
                best, best_score = Dialect(delimiter, skip_space), score
    return best


def _widths(sample: list[str], dialect: Dialect) -> list[int]:
    reader = csv.reader(sample, delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space)
    widths: list[int] = []
    with suppress(csv.Error):
        widths.extend(len(row) for row in islice(reader, 200) if row)
    return widths


def _body_delimiter(sample: list[str]) -> str:
    """What parts the records though nothing parts the header (a line of something else before it)."""
    for delimiter in _DELIMITERS:
        body = _widths(sample, Dialect(delimiter))[1:]
        if len(body) > 2 and body[0] > 1 and body.count(body[0]) > 0.8 * len(body):
            return delimiter
    return _NEVER


def read_records(lines: Iterable[str], dialect: Dialect, note: Note, first: int = 1) -> Iterator[list[str]]:
    """The header, then one list a record, all as wide as the header; `first` numbers the first record.

    Sound stretches are parsed a block at a time; one with anything odd in it is read again record by
    record. note: told of each problem as (row, None, what, value, fatal=…).
    """
    csv.field_size_limit(max(FIELD, csv.field_size_limit()))  # the process's own, and only ever raised
    source = _Lines(lines)
    header = next(_strict(source, dialect), None)
    if header is None:
        return
    yield header.fields
    width, row = len(header.fields), first
    while block := source.block():
        sound = _sound(block, dialect, width)
        if sound is None:
            source.hand_back(block)
            sound = list(_odd(source, len(block), dialect, width, note, row))
        yield from sound
        row += len(sound)


def _sound(block: list[str], dialect: Dialect, width: int) -> list[list[str]] | None:
    """The block's records, or None if any of them is not as it should be."""
    reader = csv.reader(block, delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space, strict=True)
    try:
        records = list(reader)
    except csv.Error:
        return None
    widths = set(map(len, records))
    if 0 in widths:
        records = [record for record in records if record]
    return records if widths <= {0, width} else None


def _odd(
    source: _Lines, size: int, dialect: Dialect, width: int, note: Note, row: int
) -> Iterator[list[str]]:
    """Records, one by one, until `size` lines are used up and nothing waits to be joined."""
    stop = source.used + size
    short: list[_Record] = []

    def give_up() -> Iterator[list[str]]:
        nonlocal row
        for record in short:
            yield _fit(record, width, row, note)
            row += 1
        short.clear()

    for record in _strict(source, dialect, width):
        if len(record.fields) >= width:
            yield from give_up()
            if record.odd and len(record.fields) == width:
                note(row, None, record.odd, record.shown)
            yield record.fields if len(record.fields) == width else _fit(record, width, row, note)
            row += 1
        else:
            short.append(record)
            total = sum(len(r.fields) - 1 for r in short) + 1
            if total == width and len(short) > 1:
                what = "unquoted line breaks: lines that are too short were joined into one record"
                note(row, None, what, f"{len(short)} lines: {short[0].shown}")
                yield _join(short)
                short.clear()
                row += 1
            elif total > width or len(short) > _JOINED:
                yield from give_up()
        if source.used >= stop and not short:
            return
    yield from give_up()


class _Record(NamedTuple):
    fields: list[str]
    shown: str
    odd: str = ""


def _strict(source: _Lines, dialect: Dialect, width: int = 0) -> Iterator[_Record]:
    """Records without blank lines; one that strict mode refuses is read leniently and marked."""
    delimiter, skip = dialect
    reader = csv.reader(source, delimiter=delimiter, skipinitialspace=skip, strict=True)
    while True:
        source.taken.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            record = _lenient(source, dialect, width, str(error))
            reader = csv.reader(source, delimiter=delimiter, skipinitialspace=skip, strict=True)
        else:
            if not fields:
                continue
            record = _Record(fields, source.taken[0])
        yield record


def _lenient(source: _Lines, dialect: Dialect, width: int, error: str) -> _Record:
    """The first refused line on its own if it fits, else the whole of what was refused, else the first line.

    Lines not used are handed back, so that a quote nobody closed costs one record, not the rest of the file.
    """
    lines = list(source.taken)
    too_long = "field limit" in error
    what = "a quote is not closed or not doubled"
    if too_long:
        what = f"a field is longer than {csv.field_size_limit():,} characters; its first 1,000 are read"
    for part in () if too_long else (lines[:1], lines):
        fields = _parse(part, dialect)
        if fields is not None and len(fields) == width:
            source.hand_back(lines[len(part) :])
            return _Record(fields, lines[0], f"{what}; read as it stands")
    source.hand_back(lines[1:])
    fields = _parse(lines[:1], dialect)
    if fields is None:  # one line alone is too long
        fields = [field[:1000] for field in lines[0].rstrip("\r\n").split(dialect.delimiter)]
    return _Record(fields, lines[0], what)


def _parse(lines: list[str], dialect: Dialect) -> list[str] | None:
    rows = csv.reader(lines, delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space)
    try:
        found = list(rows)
    except csv.Error:
        return None
    return found[0] if len(found) == 1 else None


def _fit(record: _Record, width: int, row: int, note: Note) -> list[str]:
    """Cut or fill a record to the header's width, and say so."""
    fields = record.fields
    extra = [field for field in fields[width:] if field.strip()]
    if len(fields) > width and not extra:
        note(row, None, f"{len(fields)} fields instead of {width}; those in excess are empty", record.shown)
    else:
        what = f"{len(fields)} field{'s' * (len(fields) != 1)} instead of {width}"
        what += f" ({record.odd})" if record.odd else ""
        note(row, None, what, record.shown, fatal=True)
    return (fields + [""] * width)[:width]


def _join(records: list[_Record]) -> list[str]:
    fields = list(records[0].fields)
    for record in records[1:]:
        fields[-1] += "\n" + record.fields[0]
        fields += record.fields[1:]
    return fields
