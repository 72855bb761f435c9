"""Hierarchies that are in the codes: UNSPSC, eCl@ss, customs tariffs (HS, CN, TARIC), outline numbers.

A scheme is recognised by all codes of a table together. Codes lose spaces and punctuation.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_SECTION = re.compile(r"(?:section\s+)?[ivxl]{1,6}\.?$", re.IGNORECASE)
_FEWEST = 3  # codes of which a scheme is recognised
_SHARE = 0.9  # of the codes that must have a parent


class CodeScheme(NamedTuple):
    """How codes are nested.

    Attributes:
        kind: what the codes are, such as `UNSPSC`.
        parent: a code -> the code of its parent, empty at the top.
        invalid: codes whose check digit is wrong.
    """

    kind: str
    parent: Mapping[str, str]
    invalid: tuple[str, ...] = ()


def plain_code(text: str) -> str:
    """A code without spaces, dots and dashes; an IRDI's code: `0173-1#01-AAA123#005` is `AAA123`."""
    if match := re.fullmatch(r"\d{4}-\d+#\d\d-(\w+)#\d+", text.strip()):
        return match[1]
    return re.sub(r"[\s.\-–]+", "", text.strip())


def find_scheme(codes: Sequence[str], header: str = "") -> CodeScheme | None:
    """How the codes of a table are nested; None where they are not.

    Args:
        codes: as in the file.
        header: the folded name of their column, which tells UNSPSC from eCl@ss.
    """
    stripped = [code.strip() for code in codes if code.strip() and not is_section(code)]
    if len(set(stripped)) < _FEWEST:
        return None
    plain = {code: plain_code(code) for code in stripped}
    digits = [text for text in plain.values() if text.isdecimal()]
    if len(digits) >= _SHARE * len(stripped):
        return _pairs_with_zeros(plain, header) or _prefixes(plain, header)
    return _outline(stripped)


def _pairs_with_zeros(plain: Mapping[str, str], header: str) -> CodeScheme | None:
    """Codes of eight digits, two per level, filled with zeros."""
    codes = {text for text in plain.values() if text.isdecimal()}
    if {len(text) for text in codes} != {8} or not any(text.endswith("00") for text in codes):
        return None
    by_plain = {text: code for code, text in plain.items()}

    def parent(text: str) -> str:
        for stop in (6, 4, 2):
            above = text[:stop].ljust(8, "0")
            if above != text and above in by_plain:
                return by_plain[above]
        return ""

    parents = {code: parent(text) for code, text in plain.items()}
    if not _mostly_nested(parents):
        return None
    return CodeScheme(
        "eCl@ss" if "eclass" in header or header in ("codedname", "idcc") else "UNSPSC", parents
    )


def _prefixes(plain: Mapping[str, str], header: str) -> CodeScheme | None:
    """Codes of 2, 4, 6, 8 or 10 digits, each below its longest prefix; a check digit may end them."""
    by_plain: dict[str, str] = {}
    for code, text in plain.items():
        by_plain.setdefault(text, code)
    checked, wrong = _check_digits(plain)

    def parent(text: str) -> str:
        if text in checked:
            text = text[:-1]
        for stop in range(len(text) - 1, 0, -1):
            if text[:stop] in by_plain:
                return by_plain[text[:stop]]
        return ""

    parents = {code: parent(text) if text.isdecimal() else "" for code, text in plain.items()}
    if not _mostly_nested(parents):
        return None
    return CodeScheme(_kind_of_prefixes(plain, header), parents, wrong)


def _kind_of_prefixes(plain: Mapping[str, str], header: str) -> str:
    lengths = sorted({len(text) for text in plain.values()})
    if "unspsc" in header:
        return "UNSPSC"
    if "eclass" in header:
        return "eCl@ss"
    even = all(length % 2 == 0 for length in lengths if length < lengths[-1])
    return "customs tariff (HS, CN)" if even and min(lengths) <= 4 <= max(lengths) else "codes with prefixes"


def _check_digits(plain: Mapping[str, str]) -> tuple[set[str], tuple[str, ...]]:
    """Codes that end in a check digit: those of the greatest, odd length, if nearly all of them verify."""
    longest = max((len(text) for text in plain.values() if text.isdecimal()), default=0)
    numeric = {code: text for code, text in plain.items() if len(text) == longest and text.isdecimal()}
    if longest % 2 == 0 or len(numeric) < 2 * _FEWEST:
        return set(), ()
    for check in CHECKS.values():
        wrong = [code for code, text in numeric.items() if check(text[:-1]) != text[-1]]
        if len(wrong) <= (1 - _SHARE) * len(numeric):
            return set(numeric.values()), tuple(wrong)
    return set(), ()


def gs1_digit(code: str) -> str:
    """The check digit of GS1 (GTIN, GLN): weights 3 and 1 from the right, modulo 10."""
    total = sum(int(digit) * (3 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(code)))
    return str(-total % 10)


def luhn_digit(code: str) -> str:
    """The check digit of Luhn (ISO/IEC 7812)."""
    doubled = (int(digit) * (2 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(code)))
    return str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)


def mod11_digit(code: str) -> str:
    """The check digit of ISBN-10: weights 2, 3, … from the right, modulo 11; X is 10."""
    total = sum(int(digit) * weight for weight, digit in enumerate(reversed(code), 2))
    return "0123456789X"[-total % 11]


CHECKS: Mapping[str, Callable[[str], str]] = {"gs1": gs1_digit, "luhn": luhn_digit, "mod 11": mod11_digit}


def _outline(codes: Sequence[str]) -> CodeScheme | None:
    """Codes with separators, such as `ap-1-2` or `1.2.3`: each is below the one without its last part."""
    separated = [code for code in codes if re.search(r"\w[.\-_/]\w", code)]
    if len(separated) < 0.5 * len(codes):
        return None
    known = set(codes)

    def parent(code: str) -> str:
        parts = re.split(r"([.\-_/])", code)
        for stop in range(len(parts) - 2, 0, -2):
            if (above := "".join(parts[:stop])) in known:
                return above
        return ""

    parents = {code: parent(code) for code in codes}
    return CodeScheme("outline numbers", parents) if _mostly_nested(parents) else None


def _mostly_nested(parents: Mapping[str, str]) -> bool:
    """Whether the deepest codes have parents, and some have none."""
    tops = sum(not parent for parent in parents.values())
    return tops < len(parents) and tops <= max(0.34 * len(parents), 1)


def is_section(code: str) -> bool:
    """Whether a code is a section of a tariff, a Roman number."""
    return _SECTION.fullmatch(code.strip()) is not None
