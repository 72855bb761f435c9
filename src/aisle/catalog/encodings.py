"""How bytes become text: by their mark, by what they are, or by the likeliest guess; and what stays of
bytes that mean nothing."""

import codecs
import re
from typing import BinaryIO, NamedTuple

from aisle.errors import CatalogError

KEPT = "aisle.kept"  # the name of an error handler of decoders: bytes that mean nothing survive
_SAMPLE = 4 * 2**20
_LEGACY = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "gb18030", "big5", "euc_kr", "koi8_r"),
]
_DOUBLE = {"cp932", "euc_jp", "gb18030", "big5", "euc_kr"}
_HALF_WIDTH = re.compile("[\uff61-\uff9f]{3}")  # kana that single bytes of another script look like
_BROKEN = 0.05  # share of lines that may be broken in a file's true encoding


class Encoding(NamedTuple):
    """How bytes become text; sure: decided by a byte-order mark or by valid UTF-8."""

    name: str
    sure: bool


def detect(file: BinaryIO, given: str | None = None, usual: str | None = None) -> Encoding:
    """As given, else by byte-order mark, else UTF-8 where the first 4 MiB are, else the usual encoding where
    it fits, else the likeliest guess.

    Raises:
        CatalogError: Python knows no encoding of the given name.
    """
    if given is not None:
        try:
            return Encoding(codecs.lookup(given).name, True)
        except LookupError as error:
            raise CatalogError(f"encoding {given!r} is unknown; try utf-8, cp1252, shift_jis …") from error
    sample = file.read(_SAMPLE)
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if sample.startswith(mark):
            return Encoding(name, True)
    wide = _unmarked(sample)
    if wide is not None:
        return Encoding(wide, False)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)
    except UnicodeDecodeError:
        return Encoding(usual, True) if usual is not None and _fits(sample, usual) else _guess(sample)
    return Encoding("utf-8", True)


def _unmarked(sample: bytes) -> str | None:
    """UTF-16 without its mark, by the zero bytes that half of mostly Latin text then is."""
    even, odd = sample[::2], sample[1::2]
    if len(sample) > 3 and odd.count(0) > len(odd) / 2 > 4 * even.count(0):
        return "utf-16-le"
    if len(sample) > 3 and even.count(0) > len(even) / 2 > 4 * odd.count(0):
        return "utf-16-be"
    return None


def _guess(sample: bytes) -> Encoding:
    """What the sample is where not all of it is UTF-8: by the lines that are more than ASCII."""
    lines = [line for line in sample.splitlines() if not line.isascii()]
    valid = len(lines) - len(_failing(lines, "utf-8"))
    if valid >= len(lines) / 2:  # UTF-8 with some broken lines: those become problems of their rows
        return Encoding("utf-8", True)
    from charset_normalizer import from_bytes

    # A library that asks whether all bytes can be decoded would pass over the true encoding for one
    # broken line, so lines that break a likely encoding are kept from it.
    failing = [_failing(lines, name) for name in _LEGACY]
    few = [broken for broken in failing if len(broken) <= max(1, _BROKEN * len(lines))]
    left_out = set().union(*few) if len(lines) > 1 else set()
    whole = b"\n".join(line for i, line in enumerate(lines) if i not in left_out)
    likely = list(from_bytes(whole[: 256 * 1024], cp_isolation=_LEGACY))
    likely = [m for m in likely if m.encoding not in _DOUBLE or not _HALF_WIDTH.search(str(m))]
    best = likely[0] if likely else None
    western = next((match for match in likely if match.encoding == "cp1252"), None)
    if best is None:
        return Encoding("cp1252", False)
    if western and western.chaos <= best.chaos + 0.01 and western.coherence >= best.coherence - 0.1:
        best = western  # its neighbours read it as well, so the commonest of them it is
    elif best.coherence == 0:  # no language is known in it: two bytes a character rarely fit by chance
        double = (match for match in likely if match.encoding in _DOUBLE)
        best = next((match for match in double if match.chaos <= best.chaos + 0.05), best)
    if best is western and valid:  # of two exports in one file; what is no UTF-8 is read as cp1252
        return Encoding("utf-8", True)
    return Encoding(best.encoding, False)


def _fits(sample: bytes, encoding: str) -> bool:
    """Whether all of it can be decoded; its last character may be cut."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except (LookupError, UnicodeDecodeError):
        return False
    return True


def _failing(lines: list[bytes], encoding: str) -> set[int]:
    """The lines that cannot be decoded."""
    found = set()
    for i, line in enumerate(lines):
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            found.add(i)
    return found


def _kept(error: UnicodeError) -> tuple[str, int]:
    """Bytes that mean nothing in an encoding, as half surrogates U+DC00 to U+DCFF."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(KEPT, _kept)
