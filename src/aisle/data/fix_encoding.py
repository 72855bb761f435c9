"""Text that its file could not encode: mended as well as can be, and told."""

import re
from typing import NamedTuple

from aisle.data.files import CUT, LONGEST

_BYTES = re.compile("[\udc00-\udcff]+")
_HALVES = re.compile("[\ud800-\udfff]")


class Mended(NamedTuple):
    """Text without half surrogates, what was wrong with it (empty: nothing), and how to show it: bytes
    that mean nothing as `\\x81`."""

    text: str
    what: str
    shown: str


def mended(text: str, encoding: str) -> Mended:
    """Bytes that were kept as half surrogates are read as Windows-1252 where the rest is UTF-8 (two
    exports in one file), else as U+FFFD."""
    what = []
    shown = text
    if CUT in text:
        what.append(f"the line is longer than {LONGEST:,} characters; the rest is left out")
        text = shown = text.replace(CUT, "")
    if _BYTES.search(text) and encoding.startswith("utf-8"):
        what.append("not valid UTF-8; read as Windows-1252")
        shown = _BYTES.sub(lambda found: _raw(found[0]).decode("cp1252", "backslashreplace"), text)
        text = _BYTES.sub(lambda found: _raw(found[0]).decode("cp1252", "replace"), text)
    elif _BYTES.search(text):
        what.append(f"bytes that mean nothing in {encoding}; read as �")
        shown = _BYTES.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in _raw(found[0])), text)
        text = _BYTES.sub("�", text)
    if _HALVES.search(text):
        what.append("half a surrogate pair, which is no character; read as �")
        text, shown = _HALVES.sub("�", text), _HALVES.sub("�", shown)
    return Mended(text, "; ".join(what), shown)


def _raw(halves: str) -> bytes:
    return bytes(ord(half) - 0xDC00 for half in halves)
