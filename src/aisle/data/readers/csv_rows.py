"""CSV records. A malformed record is repaired and reported, never dropped.

Parsing uses the strict mode of the standard library's `csv`, which tells the lines of a malformed record.
These lines are then read again in lenient mode.
"""

import csv
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice, pairwise
from typing import NamedTuple

Report = Callable[..., None]  # (row, column, message, value, *, fatal)
NO_DELIMITER = "\x1f"  # a flat file: one column
_DELIMITERS = (",", ";", "\t", "|", "^")
_BLOCK_LINES = 8192  # lines parsed at once
_BLOCK_CHARS = 16 * 2**20  # characters parsed at once, approximately
_MAX_FIELD = 16 * 2**20  # characters of a field
_THOUSANDS, _HUNDREDS = re.compile(r"(\D{0,4})\d{1,3}"), re.compile(r"\d{3}(?:\.\d+)?")  # of `$1,199.00`
_MAX_JOINED = 2000  # lines of a record with unquoted line breaks


class CsvDialect(NamedTuple):
    """The dialect of a file.

    Attributes:
        delimiter: Separates the fields of a record.
        skip_space: Whether blanks after a delimiter are skipped, as in `"a", "b"`.
    """

    delimiter: str
    skip_space: bool = False


class _Lines:
    """An iterator of lines to which lines can be handed back.

    Attributes:
        taken: The lines of the current record.
        used: The number of lines used so far.
    """

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
        """The next lines, up to one where every quote is closed; in a well-formed file it ends a record."""
        lines = list(islice(self._again, self._size))
        for _ in lines:
            self._again.popleft()
        lines += islice(self._lines, self._size - len(lines))
        mean = sum(map(len, lines)) // (len(lines) or 1) + 1
        self._size = min(_BLOCK_LINES, 4 * self._size, _BLOCK_CHARS // mean + 1)
        open_quote = sum(line.count('"') for line in lines) % 2
        while open_quote and len(lines) < 2 * self._size:
            line = next(self._lines, None) if not self._again else self._again.popleft()
            if line is None:
                break
            lines.append(line)
            open_quote ^= line.count('"') % 2
        self.used += len(lines)
        return lines


def sniff(sample: list[str], delimiter: str | None = None) -> CsvDialect:
    """Detect the dialect of a file.

    Args:
        sample: Its first lines.
        delimiter: The delimiter, if it is known.

    Returns:
        The dialect under which most records have as many fields as the header. Where no delimiter occurs in
        the header, there is one column.
    """
    best, best_score = CsvDialect(delimiter or _body_delimiter(sample)), (0.0, 0)
    for mark in [delimiter] if delimiter else _DELIMITERS:
        for skip_space in (False, True):
            widths = _widths(sample, CsvDialect(mark, skip_space))
            if not widths or widths[0] < 2:
                continue
            equal = sum(width == widths[0] for width in widths) / len(widths)
            score = (round(equal, 2) if equal > 0.3 else 0.0, widths[0])
            if score > best_score:
                best, best_score = CsvDialect(mark, skip_space), score
    return best


def _widths(sample: list[str], dialect: CsvDialect) -> list[int]:
    reader = csv.reader(sample, delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space)
    widths: list[int] = []
    with suppress(csv.Error):
        widths.extend(len(row) for row in islice(reader, 200) if row)
    return widths


def _body_delimiter(sample: list[str]) -> str:
    """The delimiter of the records where the header has none: another line may stand before it."""
    for delimiter in _DELIMITERS:
        widths = _widths(sample, CsvDialect(delimiter))[1:]
        if len(widths) > 2 and widths[0] > 1 and widths.count(widths[0]) > 0.8 * len(widths):
            return delimiter
    return NO_DELIMITER


def read_records(
    lines: Iterable[str], dialect: CsvDialect, report: Report, first: int = 1
) -> Iterator[list[str]]:
    """Parse records.

    Well-formed lines are parsed in blocks; a block with a malformed record is read again record by record.

    Args:
        lines: The lines of the file.
        dialect: Its dialect.
        report: Called for each problem with row, column (None), message, value, and `fatal`.
        first: The number of the first record.

    Yields:
        The header, then the fields of each record, as many as the header has.
    """
    csv.field_size_limit(max(_MAX_FIELD, csv.field_size_limit()))  # of the whole process; never lowered
    source = _Lines(lines)
    header = next(_strict(source, dialect), None)
    if header is None:
        return
    yield header.fields
    width, row = len(header.fields), first
    while block := source.block():
        records = _parse_block(block, dialect, width)
        if records is None:
            source.hand_back(block)
            found = _parse_irregular(source, len(block), dialect, width, report, row)
            records = [record.fields for record in found]
        yield from records
        row += len(records)


class RawRecord(NamedTuple):
    """A record and its lines.

    Attributes:
        fields: Its fields, as many as the header has.
        lines: The number of its lines.
        end: The number of lines of the file up to its end.
    """

    fields: list[str]
    lines: int
    end: int


def read_raw_records(lines: Iterable[str], dialect: CsvDialect) -> Iterator[RawRecord]:
    """Parse the same records as `read_records`, and count the lines of each.

    Args:
        lines: The lines of the file.
        dialect: Its dialect.

    Yields:
        The header, then each record. Blank lines belong to no record.
    """
    csv.field_size_limit(max(_MAX_FIELD, csv.field_size_limit()))
    source = _Lines(lines)
    header = next(_strict(source, dialect), None)
    if header is None:
        return
    yield RawRecord(header.fields, header.lines, header.end)
    width = len(header.fields)
    for record in _parse_irregular(source, sys.maxsize - source.used, dialect, width, _ignore, 1):
        yield RawRecord(record.fields, record.lines, record.end)


def _ignore(*problem: object, **more: object) -> None:
    """A `Report` for records that were reported before."""


def _parse_block(block: list[str], dialect: CsvDialect, width: int) -> list[list[str]] | None:
    """The records of a block; None if any is malformed or has another width."""
    reader = csv.reader(block, delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space, strict=True)
    try:
        records = list(reader)
    except csv.Error:
        return None
    widths = set(map(len, records))
    if 0 in widths:
        records = [record for record in records if record]
    return records if widths <= {0, width} else None


def _parse_irregular(
    source: _Lines, size: int, dialect: CsvDialect, width: int, report: Report, row: int
) -> "Iterator[_Record]":
    """Records one by one, until `size` lines are used and no short record waits to be joined."""
    stop = source.used + size
    short: list[_Record] = []

    def flush_short() -> Iterator[_Record]:
        nonlocal row
        for record in short:
            yield record._replace(fields=_resize(record, width, row, report, dialect.delimiter))
            row += 1
        short.clear()

    for record in _strict(source, dialect, width):
        if len(record.fields) >= width:
            yield from flush_short()
            if record.problem and len(record.fields) == width:
                report(row, None, record.problem, record.line)
            if len(record.fields) != width:
                record = record._replace(fields=_resize(record, width, row, report, dialect.delimiter))
            yield record
            row += 1
        else:
            short.append(record)
            total = sum(len(r.fields) - 1 for r in short) + 1
            if total == width and len(short) > 1:
                message = "unquoted line breaks: lines that are too short were joined into one record"
                report(row, None, message, f"{len(short)} lines: {short[0].line}")
                yield _join(short)
                short.clear()
                row += 1
            elif total > width or len(short) > _MAX_JOINED:
                yield from flush_short()
        if source.used >= stop and not short:
            return
    yield from flush_short()


class _Record(NamedTuple):
    fields: list[str]
    line: str  # the first line, for messages
    problem: str = ""
    lines: int = 0
    end: int = 0  # lines of the file up to its end


def _strict(source: _Lines, dialect: CsvDialect, width: int = 0) -> Iterator[_Record]:
    """Records in strict mode, without blank lines; a malformed one is read leniently."""
    delimiter, skip = dialect
    reader = csv.reader(source, delimiter=delimiter, skipinitialspace=skip, strict=True)
    while True:
        source.taken.clear()
        start = source.used
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
        yield record._replace(lines=source.used - start, end=source.used)


def _lenient(source: _Lines, dialect: CsvDialect, width: int, error: str) -> _Record:
    """A malformed record: its first line if that has the right width, else all lines, else the first line.

    Other lines are handed back, so that a quote that is not closed costs one record, not the whole file.
    """
    lines = list(source.taken)
    too_long = "field limit" in error
    message = "a quote is not closed or not doubled"
    if too_long:
        message = f"a field is longer than {csv.field_size_limit():,} characters; its first 1,000 are read"
    for part in () if too_long else (lines[:1], lines):
        fields = _parse_lines(part, dialect)
        if fields is not None and len(fields) == width:
            source.hand_back(lines[len(part) :])
            return _Record(fields, lines[0], f"{message}; read as it stands")
    source.hand_back(lines[1:])
    fields = _parse_lines(lines[:1], dialect)
    if fields is None:  # a single line is too long
        fields = [field[:1000] for field in lines[0].rstrip("\r\n").split(dialect.delimiter)]
    return _Record(fields, lines[0], message)


def _parse_lines(lines: list[str], dialect: CsvDialect) -> list[str] | None:
    rows = csv.reader(lines, delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space)
    try:
        parsed = list(rows)
    except csv.Error:
        return None
    return parsed[0] if len(parsed) == 1 else None


def split_numbers(fields: list[str], width: int, delimiter: str) -> list[int]:
    """The fields that an unquoted comma split from the next one, as in `$1,199`, where all excess is that.

    Where the fields in excess are blank, numbers without a currency are no evidence.

    Args:
        fields: The fields of a record.
        width: The number of columns.
        delimiter: Separates the fields.
    """
    if delimiter != "," or len(fields) <= width:
        return []
    pairs = enumerate(pairwise(fields))
    parts = [(i, _THOUSANDS.fullmatch(one), _HUNDREDS.fullmatch(two)) for i, (one, two) in pairs]
    found = [i for i, one, two in parts if one and two and (one[1] or any(fields[width:]))]
    return found if len(fields) - width == len(found) else []


def _resize(record: _Record, width: int, row: int, report: Report, delimiter: str) -> list[str]:
    """Join, cut or pad a record to the width of the header, and report it."""
    fields = list(record.fields)
    split = split_numbers(fields, width, delimiter)
    if split:
        report(row, None, "an unquoted comma in a number; its parts were joined", record.line)
        for i in reversed(split):
            fields[i : i + 2] = [f"{fields[i]},{fields[i + 1]}"]
        return fields
    extra = [field for field in fields[width:] if field.strip()]
    if len(fields) > width and not extra:
        report(row, None, f"{len(fields)} fields instead of {width}; those in excess are empty", record.line)
    else:
        message = f"{len(fields)} field{'s' * (len(fields) != 1)} instead of {width}"
        message += f" ({record.problem})" if record.problem else ""
        report(row, None, message, record.line, fatal=True)
    return (fields + [""] * width)[:width]


def _join(records: list[_Record]) -> _Record:
    first, last = records[0], records[-1]
    fields = list(first.fields)
    for record in records[1:]:
        fields[-1] += "\n" + record.fields[0]
        fields += record.fields[1:]
    return first._replace(fields=fields, lines=last.end - first.end + first.lines, end=last.end)
