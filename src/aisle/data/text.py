"""Cleans text of sellers: strips markup, decodes entities, composes Unicode."""

import ast
import html
import json
import re
import unicodedata
from functools import lru_cache
from typing import Any

# Tags that only format. `<3`, `a < b` and `<script>alert(1)</script>` are content and stay unchanged; reports
# escape all text.
_INLINE = "a|abbr|b|big|cite|code|em|font|i|img|ins|del|mark|s|small|span|strike|strong|sub|sup|tt|u"
_BLOCK = (
    "address|article|aside|blockquote|body|br|center|dd|div|dl|dt|figcaption|figure|footer|h[1-6]|head|"
    "header|hr|html|li|main|meta|nav|ol|p|pre|section|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_ATTRIBUTES = r"(?:\s+[\w:-]+(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>]+))?)*\s*/?"
_FORMATTING = re.compile(rf"</?(?:{_BLOCK}|{_INLINE}){_ATTRIBUTES}>", re.IGNORECASE)
_BLOCKS = re.compile(rf"</?(?:{_BLOCK}){_ATTRIBUTES}>", re.IGNORECASE)
_INVISIBLE = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_EVENT_HANDLER = re.compile(r"<[^>]*\bon\w+\s*=", re.IGNORECASE)
_SCRIPT_URL = re.compile(r"(?:javascript|vbscript|livescript):|data:text/html", re.IGNORECASE)
_BLANKS = re.compile(r"[\x00-\x20]+")
_ESCAPED_MARKUP = re.compile(r"&(?:lt|gt|#0*6[02]|#x0*3[ce]);", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,6}|#x[0-9a-fA-F]{2,5});")
_WORDS = re.compile(r"[\W_]+")
_FORMULA = re.compile(r"[=@＝＠＋－\t\r]|[+-](?!\d+(?:[.,]\d+)?\Z)")
_ASCII_WORDS = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}


def strip_markup(text: str) -> str:
    """Strip formatting markup, decode entities, and normalize Unicode to NFC.

    Text with active markup (event handlers, script URLs) or escaped markup (`&lt;b&gt;`) is kept unchanged.
    """
    if "<" in text:
        if _FORMATTING.search(text) and not _has_script(text):
            text = _strip(text)
    elif "&" in text and not _ESCAPED_MARKUP.search(text):
        text = _ENTITY.sub(lambda found: html.unescape(found[0]).replace("\xa0", " "), text)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _has_script(text: str) -> bool:
    """Whether markup contains script, also if hidden by entities and control characters."""
    return bool(_EVENT_HANDLER.search(text) or _SCRIPT_URL.search(_BLANKS.sub("", html.unescape(text))))


def _strip(text: str) -> str:
    text = _BLOCKS.sub("\n", _INVISIBLE.sub(" ", text))
    text = html.unescape(_FORMATTING.sub("", text)).replace("\xa0", " ")
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def parse_list(text: str) -> list[Any] | None:
    """Parse a JSON or Python list (`['a', 'b']`); None if the text is none."""
    text = text.strip()
    if not text.startswith("[") or not text.endswith("]"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, list) else None
    return None


def spreadsheet_text(text: str) -> str:
    """Text for a cell of a spreadsheet; a formula (`=1+1`) is escaped by a leading `'`."""
    return "'" + text if _FORMULA.match(text) else text


def normalize(text: str) -> str:
    """Fold case, spacing and punctuation: `normalize(" T-SHIRT ") == normalize("t shirt")`."""
    if text.isascii() and "<" not in text and "&" not in text:  # the same result, faster
        return " ".join(text.translate(_ASCII_WORDS).split()) or " ".join(text.casefold().split())
    folded = unicodedata.normalize("NFKC", strip_markup(text)).casefold()
    return _WORDS.sub(" ", folded).strip() or " ".join(folded.split())


@lru_cache(100_000)
def fold_spelling(name: str) -> str:
    """Fold case and spacing of a category's name."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
