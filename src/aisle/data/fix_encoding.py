"""Repairs text that could not be decoded."""

import re
from typing import NamedTuple

from aisle.data.files import CUT, MAX_LINE

_BYTES = re.compile("[\udc00-\udcff]+")
_HALVES = re.compile("[\ud800-\udfff]")


class FixedText(NamedTuple):
    """Text without half surrogates.

    Attributes:
        text: The text.
        message: What was wrong with it; empty if nothing was.
        shown: The text as it is shown in a problem: undecodable bytes as `\\x81`.
    """

    text: str
    message: str
    shown: str


def fix_encoding(text: str, encoding: str) -> FixedText:
    """Decode bytes that were kept as half surrogates.

    They are read as Windows-1252 where the rest is UTF-8 (two exports in one file), else as U+FFFD.
    """
    messages = []
    shown = text
    if CUT in text:
        messages.append(f"the line is longer than {MAX_LINE:,} characters; the rest is left out")
        text = shown = text.replace(CUT, "")
    if _BYTES.search(text) and encoding.startswith("utf-8"):
        messages.append("not valid UTF-8; read as Windows-1252")
        shown = _BYTES.sub(lambda found: _raw(found[0]).decode("cp1252", "backslashreplace"), text)
        text = _BYTES.sub(lambda found: _raw(found[0]).decode("cp1252", "replace"), text)
    elif _BYTES.search(text):
        messages.append(f"bytes that mean nothing in {encoding}; read as �")
        shown = _BYTES.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in _raw(found[0])), text)
        text = _BYTES.sub("�", text)
    if _HALVES.search(text):
        messages.append("half a surrogate pair, which is no character; read as �")
        text, shown = _HALVES.sub("�", text), _HALVES.sub("�", shown)
    return FixedText(text, "; ".join(messages), shown)


def _raw(halves: str) -> bytes:
    return bytes(ord(half) - 0xDC00 for half in halves)
