"""The encoding of a file: by its mark, by what its bytes are, or by the likeliest guess; and what stays of
bytes that mean nothing."""

import codecs
from typing import NamedTuple

from aisle.encodings.formats import mark_of, unmarked_utf16
from aisle.encodings.guess import guess
from aisle.errors import CatalogError

KEPT = "aisle.kept"  # the name of an error handler of decoders: bytes that mean nothing survive
SAMPLE = 4 * 2**20


class Encoding(NamedTuple):
    """How bytes become text; sure: decided by a byte-order mark or by valid UTF-8."""

    name: str
    sure: bool


def detect(sample: bytes, given: str | None = None, usual: str | None = None) -> Encoding:
    """As given, else by byte-order mark, else UTF-8 where the sample is, else the usual encoding where it
    fits, else the likeliest guess.

    sample: the first bytes of the file, at most `SAMPLE` of which are looked at.

    Raises:
        CatalogError: Python knows no encoding of the given name.
    """
    if given is not None:
        try:
            return Encoding(codecs.lookup(given).name, True)
        except LookupError as error:
            raise CatalogError(f"encoding {given!r} is unknown; try utf-8, cp1252, shift_jis …") from error
    sample = sample[:SAMPLE]
    marked = mark_of(sample)
    if marked is not None:
        return Encoding(marked, True)
    wide = unmarked_utf16(sample)
    if wide is not None:
        return Encoding(wide, False)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)
    except UnicodeDecodeError:
        return Encoding(usual, True) if usual is not None and _fits(sample, usual) else _guess(sample)
    return Encoding("utf-8", True)


def _guess(sample: bytes) -> Encoding:
    """What the sample is where not all of it is UTF-8: by the lines that are more than ASCII."""
    lines = sample.splitlines()
    if len(sample) == SAMPLE and len(lines) > 1:
        lines.pop()  # cut off, perhaps inside a character
    lines = [line for line in lines if not line.isascii()] or [sample]
    valid = sum(map(_is_utf8, lines))
    if valid >= len(lines) / 2:  # UTF-8 with some broken lines: those become problems of their rows
        return Encoding("utf-8", True)
    name = guess(lines)
    if name == "cp1252" and valid:  # of two exports in one file; what is no UTF-8 is read as cp1252
        return Encoding("utf-8", True)
    return Encoding(name, False)


def _fits(sample: bytes, encoding: str) -> bool:
    """Whether all of it can be decoded; its last character may be cut."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except (LookupError, UnicodeDecodeError):
        return False
    return True


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _kept(error: UnicodeError) -> tuple[str, int]:
    """Bytes that mean nothing in an encoding, as half surrogates U+DC00 to U+DCFF."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(KEPT, _kept)
