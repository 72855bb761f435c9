"""Finds the few rules that may concern a product, without evaluating all of them.

Each rule is listed under one of its conditions: the values that a cell must equal, a word of each phrase, or
three characters that a pattern cannot match without. Of several conditions the one is taken whose keys the
fewest rules share. Rules without such a condition are candidates for every product.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from aisle.rules.conditions import Cells, CompiledRule, Patterns, Test, Values, Words

_WORD, _VALUE, _TRIGRAM = range(3)
_GRAM = 3
_Key = tuple[str, int, str]  # field, kind, text


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
        best = [_longest(options) for options in test.required]
        if all(best):
            literals = [literal for alternatives in best for literal in alternatives]
            return [[(_TRIGRAM, text[i : i + _GRAM]) for i in range(len(text) - 2)] for text in literals]
    return []


def _longest(options: Sequence[Sequence[str]]) -> Sequence[str]:
    """Of the groups of literals that a pattern requires one of each of, the one whose shortest is longest;
    empty without one of three characters or more."""
    long = [group for group in options if all(len(literal) >= _GRAM for literal in group)]
    return max(long, key=lambda group: min(map(len, group)), default=())
