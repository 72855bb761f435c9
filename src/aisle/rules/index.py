"""Finds the few rules that may concern a product, without evaluating all of them.

Each rule is listed under a key of one of its conditions: a value that a cell must equal, a word of each
phrase, or up to three characters that a pattern cannot match without. Of several conditions that one is taken
whose keys the fewest rules share; what else the rule needs of the same field is compared next. Rules without
such a condition are candidates for every product.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from aisle.rules.conditions import Cells, CompiledRule, Patterns, Test, Values, Words

_NGRAMS = range(1, 4)  # numbers of characters, which are the kinds of such keys
_WORD, _VALUE = 4, 5
_Key = tuple[str, int, str]  # field, kind, text
_Entry = tuple[int, frozenset[str]]  # a rule's number, and what else it needs of the same field and kind


class RuleIndex:
    """The rules by what products must have for them.

    Args:
        rules: In the order in which they act.
    """

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        choices = [list(_choices(rule)) for rule in rules]
        shared = Counter(key for options in choices for keys in options for group in keys for key in group)
        tables: dict[tuple[str, int], dict[str, list[_Entry]]] = defaultdict(dict)
        self.always: list[int] = []
        for number, options in enumerate(choices):
            if not options:
                self.always.append(number)
                continue
            needed = {key for groups in options if len(groups) == 1 for key in groups[0]}
            anchored = [[(_rarest(group, shared), group) for group in keys] for keys in options]
            for anchor, group in min(anchored, key=lambda keys: _frequency(keys, shared)):
                field, kind, text = anchor
                others = {key[2] for key in needed.union(group) - {anchor} if key[:2] == (field, kind)}
                tables[field, kind].setdefault(text, []).append((number, frozenset(others)))
        self._tables = [(field, kind, table, table.keys()) for (field, kind), table in tables.items()]

    def candidates(self, cells: Cells) -> Iterable[int]:
        """The numbers of rules that may concern a product, in order."""
        found = list(self.always)
        for field, kind, table, keys in self._tables:
            cell = cells[field]
            if cell is None:
                continue
            if kind in _NGRAMS:
                has = cell.character_ngrams(kind)
            else:
                has = cell.vocabulary if kind == _WORD else cell.values
            for hit in has & keys:
                found += [number for number, others in table[hit] if others <= has]
        return sorted(set(found)) if len(found) > 1 else found


def _rarest(group: Sequence[_Key], shared: Counter[_Key]) -> _Key:
    """The key that the fewest rules have; of several, the longest."""
    return min(group, key=lambda key: (shared[key], -len(key[2])))


def _frequency(keys: Sequence[tuple[_Key, object]], shared: Counter[_Key]) -> tuple[bool, int]:
    """How many products will probably have one of some keys: one or two characters are in most texts."""
    return any(kind in _NGRAMS[:-1] for (_, kind, _), _ in keys), sum(shared[anchor] for anchor, _ in keys)


def _choices(rule: CompiledRule) -> Iterator[list[list[_Key]]]:
    """Of each condition, groups of keys: a product needs all keys of one group at least."""
    for condition in rule.when:
        for test in condition.tests:
            for groups in _groups(test):
                yield [[(condition.field, kind, text) for kind, text in group] for group in groups]


def _groups(test: Test) -> Iterator[list[list[tuple[int, str]]]]:
    if isinstance(test, Words):
        yield [[(_WORD, word) for word in phrase] for phrase in test.phrases]
    elif isinstance(test, Values) and not test.numbers:
        yield [[(_VALUE, value)] for value in test.values]
    elif isinstance(test, Patterns) and len(test.required) == 1:
        yield from map(_ngrams, test.required[0])
    elif isinstance(test, Patterns) and all(test.required):  # any of them may match: the longest text of each
        best = [max(groups, key=lambda group: min(map(len, group))) for groups in test.required]
        yield _ngrams([literal for group in best for literal in group])


def _ngrams(literals: Sequence[str]) -> list[list[tuple[int, str]]]:
    n = min(_NGRAMS[-1], *map(len, literals))
    return [[(n, text[i : i + n]) for i in range(len(text) - n + 1)] for text in literals]
