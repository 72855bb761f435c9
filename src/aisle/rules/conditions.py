"""Conditions of rules, compiled: tests of one product's cells, and of the model's own prediction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, NamedTuple

from aisle.data import Product
from aisle.errors import AisleError, extra
from aisle.guarantee import Prediction
from aisle.rules.config import CellTest, Range, RuleConfig, Scalar
from aisle.rules.literals import longest_safe_text, required_literals
from aisle.rules.text import fold, fold_value, folded_values, numbers, visible, words

TIME_LIMIT = 0.05  # seconds of processor time that one pattern may take on one cell


class RulesError(AisleError):
    """A rules file is malformed, or names an unknown category or field."""


class TooSlowError(Exception):
    """A pattern took longer than `TIME_LIMIT` on a cell."""


class Cell:
    """The text of one field of a product; what conditions compare is computed once."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self._ngrams: dict[int, frozenset[str]] = {}

    @cached_property
    def text(self) -> str:
        """As a shopper sees it."""
        return visible(self.raw)

    @cached_property
    def folded(self) -> str:
        """Without case and accents."""
        return fold(self.text)

    @cached_property
    def words(self) -> list[str]:
        """The words, in order."""
        return words(self.folded)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The distinct words."""
        return frozenset(self.words)

    @cached_property
    def phrase(self) -> str:
        """The words between single spaces, to look for several in a row."""
        return f" {' '.join(self.words)} "

    @cached_property
    def values(self) -> frozenset[str]:
        """The whole cell and each of its values, folded."""
        return frozenset(folded_values(self.text))

    def character_ngrams(self, n: int) -> frozenset[str]:
        """All runs of n characters of the folded text."""
        if n not in self._ngrams:
            text = self.folded
            self._ngrams[n] = frozenset([text[i : i + n] for i in range(len(text) - n + 1)])
        return self._ngrams[n]


class Cells(dict[str, Cell | None]):
    """The cells of one product by field name; None where a cell is blank."""

    def __init__(self, product: Product) -> None:
        super().__init__()
        self.product = product

    def __missing__(self, name: str) -> Cell | None:
        raw = self.product.id if name == "id" else self.product.fields.get(name, "")
        found = Cell(raw) if raw and not raw.isspace() else None
        self[name] = found
        return found


class Words(NamedTuple):
    """Any of some phrases occurs, word by word."""

    phrases: tuple[tuple[str, ...], ...]

    def holds(self, cell: Cell) -> bool:
        """Whether it holds of a cell."""
        vocabulary = cell.vocabulary
        for phrase in self.phrases:
            if phrase[0] in vocabulary and (len(phrase) == 1 or f" {' '.join(phrase)} " in cell.phrase):
                return True
        return False


class Values(NamedTuple):
    """The cell, or one of its values, is one of these."""

    values: frozenset[str]
    numbers: frozenset[float] = frozenset()

    def holds(self, cell: Cell) -> bool:
        """Whether it holds of a cell."""
        if not self.values.isdisjoint(cell.values):
            return True
        return bool(self.numbers) and not self.numbers.isdisjoint(numbers(cell.text))


class Patterns(NamedTuple):
    """Any of some regular expressions occurs; `required`: what `required_literals` finds in each; `safe`: the
    length of text on which each needs no time limit."""

    compiled: tuple[Any, ...]
    required: tuple[tuple[tuple[str, ...], ...], ...]
    safe: tuple[int, ...]

    def holds(self, cell: Cell) -> bool:
        """Whether it holds of a cell.

        Raises:
            TooSlowError: A pattern takes longer than `TIME_LIMIT`.
        """
        folded, text = cell.folded, cell.text
        try:
            for pattern, groups, safe in zip(self.compiled, self.required, self.safe, strict=True):
                if all(any(literal in folded for literal in group) for group in groups):
                    # Other threads run meanwhile only where the search may take long: a switch costs more.
                    long = len(text) > safe
                    if pattern.search(text, concurrent=long, timeout=TIME_LIMIT if long else None):
                        return True
            return False
        except TimeoutError:
            raise TooSlowError from None


class Numbers(NamedTuple):
    """A number of the cell lies in a range."""

    range: Range
    decimal: str | None

    def holds(self, cell: Cell) -> bool:
        """Whether it holds of a cell."""
        return any(map(self.range.holds, numbers(cell.text, self.decimal)))


Test = Words | Values | Patterns | Numbers


class FieldCondition(NamedTuple):
    """What must hold of one field.

    Attributes:
        field: The key of the field in products.
        tests: All of them must hold; a blank cell passes none.
        blank: Whether the cell must be blank; None if that does not matter.
    """

    field: str
    tests: tuple[Test, ...]
    blank: bool | None

    def holds(self, cells: Cells) -> bool:
        """Whether it holds of a product."""
        cell = cells[self.field]
        if self.blank is not None and self.blank != (cell is None):
            return False
        if cell is None:
            return not self.tests
        for test in self.tests:  # noqa: SIM110 - quicker than `all`
            if not test.holds(cell):
                return False
        return True


class ModelCondition(NamedTuple):
    """What must hold of the model's own prediction, and of the file that a product comes from."""

    predicted: tuple[tuple[str, ...], ...]
    confidence: Range | None
    decision: frozenset[str]
    source: tuple[str, ...]

    def holds(self, prediction: Prediction, source: str) -> bool:
        """Whether it holds of a prediction."""
        if self.predicted and not any(prediction.best[: len(path)] == path for path in self.predicted):
            return False
        if self.confidence is not None and not self.confidence.holds(prediction.confidence[-1]):
            return False
        if self.decision and prediction.decision not in self.decision:
            return False
        name = source.casefold()
        return not self.source or any(fnmatchcase(name, pattern) for pattern in self.source)


class CompiledRule(NamedTuple):
    """A rule that can be evaluated.

    Attributes:
        config: What the file states.
        number: Its place in the order in which rules act, from 0.
        nodes: The nodes of its categories.
        spans: Of each node the range of its terminals.
        when: All of them must hold.
        unless: None of these groups may hold as a whole.
        model: The condition on the model's own prediction.
    """

    config: RuleConfig
    number: int
    nodes: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    when: tuple[FieldCondition, ...]
    unless: tuple[tuple[FieldCondition, ...], ...]
    model: ModelCondition

    def holds(self, cells: Cells, prediction: Prediction, source: str, day: date) -> bool:
        """Whether the rule concerns a product.

        Raises:
            TooSlowError: One of its patterns takes too long.
        """
        for condition in self.when:  # plain loops: this runs for every candidate of every product
            if not condition.holds(cells):
                return False
        if not self.config.acts_on(day) or not self.model.holds(prediction, source):
            return False
        return not any(all(condition.holds(cells) for condition in group) for group in self.unless)


def compile_fields(
    tables: Iterable[Mapping[str, CellTest]],
    keys: Mapping[str, str],
    lists: Mapping[str, Sequence[str]],
    fail: Callable[[str], RulesError],
) -> list[tuple[FieldCondition, ...]]:
    """The conditions of each table.

    Args:
        tables: Tests by the name of the field.
        keys: Keys of products' fields by the names in rules, where they differ.
        lists: Entries of list files by name.
        fail: Makes the error of a message.
    """
    return [
        tuple(
            FieldCondition(keys.get(name, name), tuple(_tests(name, test, lists, fail)), test.blank)
            for name, test in table.items()
        )
        for table in tables
    ]


def _tests(
    field: str, test: CellTest, lists: Mapping[str, Sequence[str]], fail: Callable[[str], RulesError]
) -> Iterable[Test]:
    equal = [*(test.equals or ()), *(lists[test.equals_file] if test.equals_file else ())]
    if equal:
        yield Values(
            frozenset(fold_value(item) for item in equal if isinstance(item, str)),
            frozenset(float(item) for item in equal if not isinstance(item, str)),
        )
    contained: list[Scalar] = [
        *(test.contains or ()),
        *(lists[test.contains_file] if test.contains_file else ()),
    ]
    if contained:
        phrases = [tuple(words(fold(str(item)))) for item in contained]
        if () in phrases:
            empty = contained[phrases.index(())]
            raise fail(f"{field}: {str(empty)!r} contains no letter or digit; use regex for signs")
        yield Words(tuple(dict.fromkeys(phrases)))
    if test.regex:
        compiled = tuple(_pattern(field, text, fail) for text in test.regex)
        required, safe = map(required_literals, test.regex), map(longest_safe_text, test.regex)
        yield Patterns(compiled, tuple(required), tuple(safe))
    if test.min is not None or test.max is not None:
        yield Numbers(Range(min=test.min, max=test.max), test.decimal)


def _pattern(field: str, text: str, fail: Callable[[str], RulesError]) -> Any:
    regex: Any = extra("regex", "rules", "a rule with a regex")
    try:
        return regex.compile(text, regex.IGNORECASE)
    except (regex.error, ValueError, OverflowError) as error:
        raise fail(f"{field}: regex {text!r} cannot be read ({error})") from error
