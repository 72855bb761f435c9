"""Finds the few rules that may concern a product, without evaluating all of them.

Each rule is listed under one of its conditions: the values that a cell must equal, a word of each phrase, or
three characters that a pattern cannot match without. Of several conditions the one is taken whose keys the
fewest rules share. Rules without such a condition are candidates for every product.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from re import _parser as _regex_parser  # type: ignore[attr-defined]  # the standard parser has no public name
from typing import Any

from aisle.rules.conditions import Cells, CompiledRule, Patterns, Test, Values, Words
from aisle.rules.text import fold

_WORD, _VALUE, _TRIGRAM = range(3)
_GRAM = 3
_Key = tuple[str, int, str]  # field, kind, text
_PROPERTY = re.compile(r"\\[pP]\{[^{}]*\}")
_FUZZY = re.compile(r"\{[^\d,}]")  # `{e<=1}` of the regex package; the standard parser takes it as text


class RuleIndex:
    """The rules by what products must have for them.

    Args:
        rules: In the order in which they act.
    """

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        choices = [list(_choices(rule)) for rule in rules]
        shared = Counter(key for options in choices for keys in options for group in keys for key in group)
        tables: dict[tuple[str, int], dict[str, list[int]]] = defaultdict(dict)
        self.always: list[int] = []
        for number, options in enumerate(choices):
            if not options:
                self.always.append(number)
                continue
            anchors = [[_rarest(group, shared) for group in keys] for keys in options]
            for field, kind, text in set(min(anchors, key=lambda keys: sum(shared[key] for key in keys))):
                tables[field, kind].setdefault(text, []).append(number)
        self._tables = [(field, kind, table, table.keys()) for (field, kind), table in tables.items()]

    def candidates(self, cells: Cells) -> Iterable[int]:
        """The numbers of rules that may concern a product, in order."""
        found = list(self.always)
        for field, kind, table, keys in self._tables:
            cell = cells[field]
            if cell is None:
                continue
            if kind == _WORD:
                hits: Iterable[str] = cell.vocabulary & keys
            elif kind == _VALUE:
                hits = [value for value in cell.values if value in table]
            else:
                hits = cell.trigrams & keys
            for hit in hits:
                found += table[hit]
        return sorted(set(found)) if len(found) > 1 else found


def _rarest(group: Sequence[_Key], shared: Counter[_Key]) -> _Key:
    """The key that the fewest rules have; of several, the longest."""
    return min(group, key=lambda key: (shared[key], -len(key[2])))


def _choices(rule: CompiledRule) -> Iterator[list[list[_Key]]]:
    """Of each condition, groups of keys: a product needs all keys of one group at least."""
    for condition in rule.when:
        for test in condition.tests:
            groups = _groups(test)
            if groups:
                yield [[(condition.field, kind, text) for kind, text in group] for group in groups]


def _groups(test: Test) -> list[list[tuple[int, str]]]:
    if isinstance(test, Words):
        return [[(_WORD, word) for word in phrase] for phrase in test.phrases]
    if isinstance(test, Values) and not test.numbers:
        return [[(_VALUE, value)] for value in test.values]
    if isinstance(test, Patterns):
        found = [required_literals(source) for source in test.sources]
        literals = [fold(literal) for alternatives in found if alternatives for literal in alternatives]
        if all(found) and all(len(literal) >= _GRAM for literal in literals):
            return [[(_TRIGRAM, text[i : i + _GRAM]) for i in range(len(text) - 2)] for text in literals]
    return []


def required_literals(pattern: str) -> list[str] | None:
    """Texts of which every match of a pattern has at least one; None where that cannot be told."""
    if _FUZZY.search(_PROPERTY.sub(".", pattern)):
        return None
    try:
        return _best(_regex_parser.parse(_PROPERTY.sub(".", pattern), re.IGNORECASE))
    except (re.error, ValueError, OverflowError, RecursionError):
        return None


def _best(sequence: Iterable[tuple[Any, Any]]) -> list[str] | None:
    """Of the parts of a sequence that must all match, the one whose shortest literal is the longest."""
    options: list[list[str]] = []
    run: list[str] = []
    for code, value in sequence:
        name = str(code)
        if name == "LITERAL":
            run.append(chr(value))
            continue
        if run:
            options.append(["".join(run)])
            run = []
        inner = _inside(name, value)
        if inner:
            options.append(inner)
    if run:
        options.append(["".join(run)])
    return max(options, key=lambda option: min(map(len, option)), default=None)


def _inside(name: str, value: Any) -> list[str] | None:
    if name == "SUBPATTERN":
        return _best(value[3])
    if name == "ATOMIC_GROUP":
        return _best(value)
    if name.endswith("_REPEAT") and value[0] >= 1:
        return _best(value[2])
    if name == "BRANCH":
        branches = [_best(branch) for branch in value[1]]
        if all(branches):
            return [literal for branch in branches for literal in branch or ()]
    return None
