"""Finds the fields of a CSV record in its text."""

from typing import NamedTuple


class FieldSpan(NamedTuple):
    """A field in the text of a record.

    Attributes:
        start: Its first character, after blanks that are skipped; a quote where it is quoted.
        stop: The position after its last character.
        quoted: Whether it is quoted.
    """

    start: int
    stop: int
    quoted: bool


def field_spans(text: str, delimiter: str, skip_space: bool = False) -> list[FieldSpan]:
    """The fields of one record, as the `csv` module splits it.

    Args:
        text: The record, without the line break that ends it.
        delimiter: Separates fields.
        skip_space: Whether blanks after a delimiter are skipped.
    """
    spans: list[FieldSpan] = []
    start, end = 0, len(text)
    while True:
        if skip_space:
            while start < end and text[start] == " ":
                start += 1
        quoted = start < end and text[start] == '"'
        stop = text.find(delimiter, _closing_quote(text, start + 1) if quoted else start)
        stop = end if stop < 0 else stop
        spans.append(FieldSpan(start, stop, quoted))
        if stop == end:
            return spans
        start = stop + 1


def _closing_quote(text: str, start: int) -> int:
    """The position after the quote that closes a field; the end of the text if none does."""
    while True:
        quote = text.find('"', start)
        if quote < 0:
            return len(text)
        if text[quote + 1 : quote + 2] != '"':
            return quote + 1
        start = quote + 2


def quote(value: str, delimiter: str, quoted: bool, skip_space: bool = False) -> str:
    """A field as it is written.

    Args:
        value: Its value.
        delimiter: Separates fields.
        quoted: Whether it is quoted in any case; else only where it needs quotes.
        skip_space: Whether blanks after a delimiter are skipped.
    """
    needed = any(mark in value for mark in (delimiter, '"', "\r", "\n"))
    if quoted or needed or (skip_space and value.startswith(" ")):
        return '"' + value.replace('"', '""') + '"'
    return value


def unquote(text: str, span: FieldSpan) -> str:
    """The value of a field."""
    value = text[span.start : span.stop]
    if not span.quoted:
        return value
    close = _closing_quote(value, 1)
    if close == len(value) and not (len(value) > 1 and value[-1] == '"'):
        return value[1:].replace('""', '"')  # not closed
    return value[1 : close - 1].replace('""', '"') + value[close:]
