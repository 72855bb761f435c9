"""Texts that a regular expression cannot match without: most patterns need not be tried on most cells."""

import re
from collections.abc import Iterable
from re import _parser as _regex_parser  # type: ignore[attr-defined]  # it has no public name
from typing import Any

from aisle.rules.text import fold

_PROPERTY = re.compile(r"\\[pP]\{[^{}]*\}")
_FUZZY = re.compile(r"\{[^\d,}]")  # `{e<=1}` of the regex package; the standard parser takes it as text
_Literals = tuple[tuple[str, ...], ...]


def required_literals(pattern: str) -> _Literals:
    """Groups of folded texts: of each group, every text that a pattern matches has at least one.

    None are found in patterns that the standard parser does not understand.
    """
    plain = _PROPERTY.sub(".", pattern)
    if _FUZZY.search(plain):
        return ()
    try:
        found = _required(_regex_parser.parse(plain, re.IGNORECASE))
    except (re.error, ValueError, OverflowError, RecursionError):
        return ()
    return tuple(tuple(map(fold, group)) for group in found)


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
