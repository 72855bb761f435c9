"""Reads the records of a JSON document one by one, without holding the document.

The values are decoded by the standard library, so that records are read as in JSON lines: NaN, lone
surrogates, and bytes that cannot be decoded included.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

_VALUE = json.JSONDecoder(strict=False)
_BLANK = " \t\r\n\ufeff"
_MAX_VALUE = 256 * 2**20  # characters of a record
_TAIL = 16  # characters at the end of the text that may be the beginning of a token
_SKIPPED_DEPTH = 3  # levels of values that are passed over item by item


class JsonError(ValueError):
    """The text is not JSON.

    Args:
        message: What is wrong.
        cut_off: Whether the text ends where more is expected.
    """

    def __init__(self, message: str, cut_off: bool = False) -> None:
        super().__init__(message)
        self.cut_off = cut_off


class JsonText:
    """JSON text that arrives in pieces, decoded value by value.

    Args:
        pieces: The text.
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = iter(pieces)
        self._text, self._at, self._ended = "", 0, False
        self._line = 1  # of the first character of `_text`

    def peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            text, position, stop = self._text, self._at, len(self._text)
            while position < stop and text[position] in _BLANK:
                position += 1
            self._at = position
            if position < stop:
                return text[position]
            if not self._more():
                return ""

    def take(self, expected: str) -> str:
        """The next character, which must be one of those expected.

        Raises:
            JsonError: It is another one, or there is none.
        """
        char = self.peek()
        if not char or char not in expected:
            raise self._error(f"expected {' or '.join(expected)}", cut_off=not char)
        self._at += 1
        return char

    def value(self) -> Any:
        """The next value.

        Raises:
            JsonError: It is malformed, cut off, or too long.
        """
        if not self.peek():
            raise self._error("expected a value", cut_off=True)
        while True:
            try:
                value, end = _VALUE.raw_decode(self._text, self._at)
            except RecursionError:
                raise self._error("values are nested too deep") from None
            except json.JSONDecodeError as error:
                if not self._is_incomplete(error) or not self._grow():
                    self._at = min(error.pos, len(self._text))
                    raise self._error(error.msg, cut_off=self._ended and self._is_incomplete(error)) from None
                continue
            if end == len(self._text) and self._grow():  # `12` may be the beginning of `123`
                continue
            self._at = end
            return value

    def items(self) -> Iterator[str]:
        """The keys of an object, or "" for each item of an array; the caller reads each value in between.

        Raises:
            JsonError: The object or array is malformed or cut off.
        """
        opening = self.take("[{")
        closing = "]" if opening == "[" else "}"
        while self.peek() != closing:
            key = ""
            if opening == "{":
                if self.peek() != '"':
                    raise self._error("expected a key in quotes", cut_off=not self.peek())
                key = self.value()
                self.take(":")
            yield key
            if self.take("," + closing) == closing:
                return
        self.take(closing)

    def skip(self, depth: int = 0) -> None:
        """Pass over the next value.

        Raises:
            JsonError: As `value`.
        """
        if depth == _SKIPPED_DEPTH or self.peek() not in ("[", "{"):
            self.value()
            return
        for _ in self.items():
            self.skip(depth + 1)

    @contextmanager
    def undo_if_cut_off(self) -> Iterator[None]:
        """Return to where the text is read now if what is read inside is cut off.

        Raises:
            JsonError: What is read inside is not JSON for another reason.
        """
        start = self._at
        try:
            yield
        except JsonError as error:
            if not error.cut_off:
                raise
            self._at = start

    def _is_incomplete(self, error: json.JSONDecodeError) -> bool:
        """Whether more text may correct the error."""
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _TAIL

    def _grow(self) -> bool:
        """Double the text from here on; False at its end."""
        if len(self._text) - self._at > _MAX_VALUE:
            raise self._error(f"a value is longer than {_MAX_VALUE:,} characters")
        size = 2 * (len(self._text) - self._at)
        grown = self._more()
        while len(self._text) - self._at < size and self._more():
            pass
        return grown

    def _more(self) -> bool:
        """Append the next block, and drop the text already read; False at the end."""
        text = "" if self._ended else next(self._pieces, "")
        if not text:
            self._ended = True
            return False
        self._line += self._text.count("\n", 0, self._at)
        self._text, self._at = self._text[self._at :] + text, 0
        return True

    def _error(self, message: str, cut_off: bool = False) -> JsonError:
        line = self._line + self._text.count("\n", 0, self._at)
        column = self._at - self._text.rfind("\n", 0, self._at)
        return JsonError(f"{message[:1].lower()}{message[1:]}, line {line:,} column {column:,}", cut_off)


def parse_prefix(text: str) -> tuple[Any, bool]:
    """The first value of a text that may be truncated, without the incomplete part.

    Returns:
        The value, and whether it is whole.

    Raises:
        JsonError: The text is malformed before its end.
    """
    source = JsonText([text])
    values: list[Any] = []
    try:
        _prefix(source, values.append)
    except JsonError as error:
        if not error.cut_off:
            raise
        return (values[0] if values else None), False
    return values[0], True


def _prefix(source: JsonText, put: Callable[[Any], None]) -> None:
    """Parse a value; `put` receives one that is cut off as soon as it begins."""
    with source.undo_if_cut_off():
        put(source.value())
        return
    if source.peek() == "[":
        items: list[Any] = []
        put(items)
        for _ in source.items():
            _prefix(source, items.append)
    elif source.peek() == "{":
        members: dict[str, Any] = {}
        put(members)
        for key in source.items():
            _prefix(source, partial(members.__setitem__, key))
    else:
        put(source.value())


def stream_records(source: JsonText, path: tuple[str, ...]) -> Iterator[Any]:
    """The items of the array at a path, or the values of an object there with their key as `id`.

    The rest of the document is read too, so that one that is cut off is noticed.

    Args:
        source: The document.
        path: The keys that lead to the array or object.

    Raises:
        JsonError: The document is malformed or cut off.
    """
    if path:
        for key in source.items():
            if key == path[0]:
                yield from stream_records(source, path[1:])
            else:
                source.skip()
    else:
        for key in source.items():
            item = source.value()
            yield {"id": key, **item} if key and isinstance(item, dict) else item
