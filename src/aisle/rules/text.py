"""What rules compare: folded text, its words, the values of a cell, and numbers as shops write them."""

import re
import unicodedata
from functools import lru_cache

from aisle.data.text import parse_list, strip_markup

# Accents of Latin, Greek and Cyrillic; vowel points of Hebrew and Arabic, and the Arabic elongation.
_ACCENTS = re.compile("[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1-\u05c7\u0640\u064b-\u065f\u0670]")
_LETTERS = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})
# Scripts written without spaces: each character counts as a word. Thai, Lao, Burmese, Khmer, Kana, Han.
_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_ASCII_WORDS = re.compile("[a-z0-9]+")
_SEPARATORS = re.compile(r"[|;\n\t]|,\s+")
_NUMBER = re.compile(r"(?:(?<![\w.,])-)?(?:\d{1,3}(?:[ '’]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)")
_SPACES = str.maketrans({"\u202f": " ", "\u066b": ".", "\u066c": ","})
_DIGIT_GROUP = 3


def fold(text: str) -> str:
    """Text without case and accents: `fold("Chaussées Łódź") == "chaussees lodz"`."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text.casefold()).casefold().translate(_LETTERS)
    return unicodedata.normalize("NFC", _ACCENTS.sub("", folded))


def words(folded: str) -> list[str]:
    """The words of folded text: runs of letters, digits and their marks; single characters of scripts that
    are written without spaces."""
    return (_ASCII_WORDS if folded.isascii() else _unicode_words()).findall(folded)


@lru_cache(1)
def _unicode_words() -> re.Pattern[str]:
    marks = [chr(i) for i in range(0x300, 0xAC00) if unicodedata.category(chr(i)) in ("Mn", "Mc")]
    spaceless = re.compile(f"[{_SPACELESS}]")
    inside = "".join(mark for mark in marks if not spaceless.match(mark))
    return re.compile(f"[{_SPACELESS}]|(?:[^\\W_{_SPACELESS}]|[{inside}])+")


def fold_value(text: str) -> str:
    """A value for comparison: folded, and its spaces collapsed."""
    return " ".join(fold(text).split())


def values(text: str) -> list[str]:
    """The values of a cell: the items of a list, or parts separated by `|`, `;`, a comma with a space, a tab
    or a line break. A single value has itself alone."""
    listed = parse_list(text)
    if listed is not None:
        return [str(item) for item in listed if item is not None]
    return [part for part in (part.strip() for part in _SEPARATORS.split(text)) if part]


def folded_values(text: str) -> list[str]:
    """The whole cell and each of its values, for comparison."""
    whole = fold_value(text)
    if whole.isalnum():
        return [whole]
    return [whole, *(fold_value(part) for part in values(text))]


def numbers(text: str, decimal: str | None = None) -> list[float]:
    """The first number of each value of a cell: `1.299,00 €`, `$1,299.00`, `1 299,50`, `CHF 1'299.–`.

    A single separator followed by exactly three digits separates thousands, unless only a zero precedes it.

    Args:
        text: The cell.
        decimal: The decimal separator, `.` or `,`. Default: as each number tells.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_SPACES)
    found = (_NUMBER.search(part) for part in values(plain))
    return [_to_number(match[0], decimal) for match in found if match]


def _to_number(text: str, decimal: str | None) -> float:
    text = re.sub("[ '’]", "", text)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    if decimal is None:
        decimal = _decimal_separator(text)
    thousands = "." if decimal == "," else ","
    whole, _, fraction = text.replace(thousands, "").partition(decimal)
    return float(f"{whole}.{fraction.replace(decimal, '') or '0'}")


def _decimal_separator(text: str) -> str:
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return "."
    mark = text[last]
    if text.count(mark) > 1:  # 1.299.000
        return "," if mark == "." else "."
    both = "." in text and "," in text
    whole = text[:last].lstrip("-")
    grouped = len(text) - last - 1 == _DIGIT_GROUP and whole not in ("", "0") and len(whole) <= _DIGIT_GROUP
    if not both and grouped:
        return "," if mark == "." else "."
    return mark


def visible(text: str) -> str:
    """The text that a shopper sees: without markup and entities."""
    return strip_markup(text)
