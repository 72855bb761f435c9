"""Text as sellers type it: markup taken off, Unicode composed, nothing else lost."""

import ast
import html
import json
import re
import unicodedata
from functools import lru_cache
from typing import Any

# Tags that only format. `<3`, `a < b` and `<script>alert(1)</script>` on its own are somebody's words,
# not formatting, and stay as they are (reports escape whatever they show).
_INLINE = "a|abbr|b|big|cite|code|em|font|i|img|ins|del|mark|s|small|span|strike|strong|sub|sup|tt|u"
_BLOCK = (
    "address|article|aside|blockquote|body|br|center|dd|div|dl|dt|figcaption|figure|footer|h[1-6]|head|"
    "header|hr|html|li|main|meta|nav|ol|p|pre|section|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_ATTRIBUTES = r"(?:\s+[\w:-]+(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>]+))?)*\s*/?"
_FORMATTING = re.compile(rf"</?(?:{_BLOCK}|{_INLINE}){_ATTRIBUTES}>", re.IGNORECASE)
_BLOCKS = re.compile(rf"</?(?:{_BLOCK}){_ATTRIBUTES}>", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_HOSTILE = re.compile(r"<[^>]*\bon\w+\s*=", re.IGNORECASE)
_SCRIPT = re.compile(r"(?:javascript|vbscript|livescript):|data:text/html", re.IGNORECASE)
_BLANKS = re.compile(r"[\x00-\x20]+")
_WRITTEN_OUT = re.compile(r"&(?:lt|gt|#0*6[02]|#x0*3[ce]);", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,6}|#x[0-9a-fA-F]{2,5});")
_WORDS = re.compile(r"[\W_]+")
_ASCII_WORDS = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}


def strip_markup(text: str) -> str:
    """The words of a field: formatting markup stripped, entities decoded, Unicode in NFC.

    A value whose markup could do something (event handlers, script addresses) or is written out as
    text (`&lt;b&gt;`) is not formatting; it is kept character for character.
    """
    if "<" in text:
        if _FORMATTING.search(text) and not _hostile(text):
            text = _strip(text)
    elif "&" in text and not _WRITTEN_OUT.search(text):
        text = _ENTITY.sub(lambda found: html.unescape(found[0]).replace("\xa0", " "), text)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _hostile(text: str) -> bool:
    """Whether markup carries script, however it is disguised by entities and control characters."""
    return bool(_HOSTILE.search(text) or _SCRIPT.search(_BLANKS.sub("", html.unescape(text))))


def _strip(text: str) -> str:
    text = _BLOCKS.sub("\n", _UNSEEN.sub(" ", text))
    text = html.unescape(_FORMATTING.sub("", text)).replace("\xa0", " ")
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def parse_list(text: str) -> list[Any] | None:
    """The list that a cell writes out, as JSON or as Python does (`['a', 'b']`); None if it is none."""
    text = text.strip()
    if not text.startswith("[") or not text.endswith("]"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, list) else None
    return None


def normalize(text: str) -> str:
    """What two spellings of the same words share: `normal(" T-SHIRT ") == normal("t shirt")`."""
    if text.isascii() and "<" not in text and "&" not in text:  # most text, by a shorter way to the same
        return " ".join(text.translate(_ASCII_WORDS).split()) or " ".join(text.casefold().split())
    folded = unicodedata.normalize("NFKC", strip_markup(text)).casefold()
    return _WORDS.sub(" ", folded).strip() or " ".join(folded.split())


@lru_cache(100_000)
def fold_spelling(name: str) -> str:
    """A category's name as it is compared: case and spacing do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
