"""Texts that a regular expression cannot match without: most patterns need not be tried on most cells."""

import re
from collections.abc import Iterable
from math import factorial
from re import _parser as _regex_parser  # type: ignore[attr-defined]  # it has no public name
from typing import Any, NamedTuple

from aisle.rules.text import fold

_PROPERTY = re.compile(r"\\[pP]\{[^{}]*\}")
_FUZZY = re.compile(r"\{[^\d,}]")  # `{e<=1}` of the regex package; the standard parser takes it as text
_CHARACTERS = ("LITERAL", "NOT_LITERAL", "IN", "ANY", "CATEGORY")
_MAX_OPTIONAL = 10
_STEPS = 5e6  # that a search without a time limit takes at most: about as long as the limit
_Literals = tuple[tuple[str, ...], ...]


def required_literals(pattern: str) -> _Literals:
    """Groups of folded texts: of each group, every text that a pattern matches has at least one.

    None are found in patterns that the standard parser does not understand.
    """
    parsed = _parsed(pattern)
    return () if parsed is None else tuple(tuple(map(fold, group)) for group in _required(parsed))


def longest_safe_text(pattern: str) -> int:
    """The length of text on which a search surely ends soon: the time limit, which costs more than most
    searches, is not needed there. 0 where a repeat holds more than one character, so that a search may take
    exponential time."""
    parsed = _parsed(pattern)
    choices = None if parsed is None else _choices(parsed)
    if choices is None or choices.optional > _MAX_OPTIONAL:
        return 0
    ends = choices.repeats + 1  # a search tries to place its start and the end of each repeat, in order
    return int((_STEPS * factorial(ends) / 2**choices.optional) ** (1 / ends))


class _Choices(NamedTuple):
    """What a search may have to try in combination: repeats of a character, and optional parts."""

    repeats: int = 0
    optional: int = 0

    def plus(self, other: "_Choices") -> "_Choices":
        return _Choices(self.repeats + other.repeats, self.optional + other.optional)


def _choices(sequence: Iterable[tuple[Any, Any]]) -> _Choices | None:
    """The choices of a sequence; None where they cannot be bounded."""
    total = _Choices()
    for code, value in sequence:
        found = _choices_of(str(code), value)
        if found is None:
            return None
        total = total.plus(found)
    return total


def _choices_of(name: str, value: Any) -> _Choices | None:
    if name in (*_CHARACTERS, "AT"):
        return _Choices()
    if name == "SUBPATTERN":
        return _choices(value[3])
    if name == "BRANCH":
        total = _Choices(0, len(value[1]) - 1)
        for branch in value[1]:
            found = _choices(branch)
            if found is None:
                return None
            total = total.plus(found)
        return total
    if name in ("MAX_REPEAT", "MIN_REPEAT") and value[1] == 1:
        found = _choices(value[2])
        return None if found is None else found.plus(_Choices(0, 1))
    if name in ("MAX_REPEAT", "MIN_REPEAT") and [str(code) for code, _ in value[2]][1:] == []:
        return _Choices(1) if all(str(code) in _CHARACTERS for code, _ in value[2]) else None
    return None


def _parsed(pattern: str) -> Any:
    """The pattern as the standard library parses it; None where it cannot, or means something else."""
    plain = _PROPERTY.sub(".", pattern)
    if _FUZZY.search(plain):
        return None
    try:
        return _regex_parser.parse(plain, re.IGNORECASE)
    except (re.error, ValueError, OverflowError, RecursionError):
        return None


def _required(sequence: Iterable[tuple[Any, Any]]) -> list[list[str]]:
    """The groups of the parts of a sequence, which must all match."""
    found: list[list[str]] = []
    run: list[str] = []
    for code, value in sequence:
        name = str(code)
        if name == "LITERAL":
            run.append(chr(value))
            continue
        if run:
            found.append(["".join(run)])
            run = []
        found += _inside(name, value)
    return [*found, ["".join(run)]] if run else found


def _inside(name: str, value: Any) -> list[list[str]]:
    if name == "SUBPATTERN":
        return _required(value[3])
    if name == "ATOMIC_GROUP":
        return _required(value)
    if name.endswith("_REPEAT") and value[0] >= 1:
        return _required(value[2])
    if name == "BRANCH":
        branches = [_required(branch) for branch in value[1]]
        if all(branches):  # the longest of each branch
            best = [max(groups, key=lambda group: min(map(len, group))) for groups in branches]
            return [[literal for group in best for literal in group]]
    return []
