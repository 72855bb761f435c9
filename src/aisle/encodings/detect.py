"""Detects the encoding of a file, and keeps bytes that cannot be decoded."""

import codecs
from typing import NamedTuple

from aisle.encodings.formats import encoding_of_mark, utf16_without_mark
from aisle.encodings.guess import guess
from aisle.errors import CatalogError

KEPT = "aisle.kept"  # the name of an error handler of decoders that keeps bytes which cannot be decoded
SAMPLE = 4 * 2**20


class Encoding(NamedTuple):
    """An encoding. `sure`: it is stated, or follows from a byte-order mark or from valid UTF-8."""

    name: str
    sure: bool


def detect(sample: bytes, given: str | None = None, usual: str | None = None) -> Encoding:
    """Detect the encoding of a file.

    In order: the stated encoding, a byte-order mark, UTF-8 if the sample is valid, the usual encoding if it
    can decode the sample, the likeliest guess.

    Args:
        sample: The first bytes of the file; at most `SAMPLE` of them are inspected.
        given: The encoding that the user states.
        usual: The encoding of an earlier file of the same shop.

    Raises:
        CatalogError: Python has no encoding of the stated name.
    """
    if given is not None:
        try:
            return Encoding(codecs.lookup(given).name, True)
        except LookupError as error:
            raise CatalogError(f"encoding {given!r} is unknown; try utf-8, cp1252, shift_jis …") from error
    sample = sample[:SAMPLE]
    marked = encoding_of_mark(sample)
    if marked is not None:
        return Encoding(marked, True)
    wide = utf16_without_mark(sample)
    if wide is not None:
        return Encoding(wide, False)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)
    except UnicodeDecodeError:
        return Encoding(usual, True) if usual is not None and _fits(sample, usual) else _guess(sample)
    return Encoding("utf-8", True)


def _guess(sample: bytes) -> Encoding:
    """The encoding of a sample that is not valid UTF-8, by its lines with more than ASCII."""
    lines = sample.splitlines()
    if len(sample) == SAMPLE and len(lines) > 1:
        lines.pop()  # may be cut inside a character
    lines = [line for line in lines if not line.isascii()] or [sample]
    valid = sum(map(_is_utf8, lines))
    if valid >= len(lines) / 2:  # UTF-8 with some broken lines, which are reported with their rows
        return Encoding("utf-8", True)
    name = guess(lines)
    if name == "cp1252" and valid:  # two exports in one file: lines that are not UTF-8 are read as cp1252
        return Encoding("utf-8", True)
    return Encoding(name, False)


def _fits(sample: bytes, encoding: str) -> bool:
    """Whether a sample can be decoded; its last character may be cut."""
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


def _keep_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace bytes that cannot be decoded by lone surrogates U+DC00 to U+DCFF, and these by the bytes."""
    if isinstance(error, UnicodeEncodeError):
        codes = [ord(character) - 0xDC00 for character in error.object[error.start : error.end]]
        if not all(0 <= code <= 0xFF for code in codes):
            raise error
        return bytes(codes), error.end
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(KEPT, _keep_bytes)
