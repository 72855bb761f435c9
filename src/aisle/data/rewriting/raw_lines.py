"""Text lines together with their bytes, so that copies are identical."""

import codecs
import io
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from aisle.data.files import CUT, MAX_LINE
from aisle.encodings import KEPT

_MARKS = {
    "utf-8-sig": ((codecs.BOM_UTF8, "utf-8"),),
    "utf-16": ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")),
    "utf-32": ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")),
}


def split_mark(head: bytes, encoding: str) -> tuple[bytes, str]:
    """The byte-order mark of a file, and its encoding without a mark.

    Args:
        head: The first bytes of the file.
        encoding: Its encoding, such as `utf-16`.
    """
    marks = _MARKS.get(encoding, ())
    found = next(((mark, name) for mark, name in marks if head.startswith(mark)), None)
    return found or (b"", marks[0][1] if marks else encoding)


class RawLine(NamedTuple):
    """A line with its ending.

    Attributes:
        data: Its bytes.
        text: Its text; bytes that cannot be decoded are lone surrogates.
    """

    data: bytes
    text: str


class RawLines:
    """The lines of a file: iterating gives their text, and `take` gives lines that were iterated.

    Args:
        file: The file.
        encoding: Its encoding.

    Attributes:
        mark: Its byte-order mark, which is not in the first line.
        encoding: Its encoding without a mark.
    """

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        buffered = io.BufferedReader(file) if not hasattr(file, "peek") else file  # type: ignore[arg-type]
        self.mark, self.encoding = split_mark(buffered.peek(4), encoding)  # type: ignore[attr-defined]
        buffered.read(len(self.mark))
        self._wide = self.encoding.startswith(("utf-16", "utf-32"))
        # As Latin-1, each byte is a character, so the lines are those of the bytes.
        self._file = io.TextIOWrapper(
            buffered, self.encoding if self._wide else "latin-1", errors=KEPT, newline=""
        )
        self._iterated: deque[RawLine] = deque()
        self._taken = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        if self._wide:
            data, text = line.encode(self.encoding, KEPT), line
        else:
            data = line.encode("latin-1")
            text = data.decode(self.encoding, KEPT)
        self._iterated.append(RawLine(data, text))
        if len(text) >= MAX_LINE and text[MAX_LINE - 1] not in "\r\n":  # as the reader of catalogs cuts it
            return text[:MAX_LINE] + CUT + "\n"
        return text

    def take(self, until: int) -> list[RawLine]:
        """The lines after those taken before, up to line number `until` of the file."""
        lines = [self._iterated.popleft() for _ in range(until - self._taken)]
        self._taken = until
        return lines

    def rest(self) -> Iterator[RawLine]:
        """The lines that were not taken."""
        yield from self._iterated
        self._iterated.clear()
        for _ in self:
            yield self._iterated.popleft()


def splice(line: RawLine, encoding: str, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """Replace parts of a line.

    Args:
        line: The text and its bytes; several lines may be joined.
        encoding: The encoding, without a mark.
        cuts: (start, stop, new bytes) by position in the text, in order.
    """
    offsets = _offsets(line, encoding)
    found, last = [], 0
    for start, stop, new in cuts:
        first, after = offsets(start), offsets(stop)
        found += [line.data[last:first], new]
        last = after
    return b"".join([*found, line.data[last:]])


class _DecodedOffsets:
    """Positions in the bytes by positions in the text, where the bytes are not those that encoding gives."""

    def __init__(self, line: RawLine, encoding: str) -> None:
        self._ends = [0]
        decoder = codecs.getincrementaldecoder(encoding)(KEPT)
        for position, byte in enumerate(line.data, 1):
            found = decoder.decode(bytes([byte]), position == len(line.data))
            ends = [position]
            for character in reversed(found[1:]):  # decoded together: each before the next one's bytes
                ends.append(ends[-1] - len(character.encode(encoding, KEPT)))
            if found:
                self._ends += reversed(ends)

    def __call__(self, position: int) -> int:
        return self._ends[position]


class _EncodedOffsets:
    """Positions in the bytes by positions in the text, where encoding gives the bytes."""

    def __init__(self, line: RawLine, encoding: str) -> None:
        self._text, self._encoding, self._ascii = line.text, encoding, len(line.data) == len(line.text)

    def __call__(self, position: int) -> int:
        return position if self._ascii else len(self._text[:position].encode(self._encoding, KEPT))


def _offsets(line: RawLine, encoding: str) -> "_DecodedOffsets | _EncodedOffsets":
    equal = line.text.encode(encoding, KEPT) == line.data
    return _EncodedOffsets(line, encoding) if equal else _DecodedOffsets(line, encoding)
