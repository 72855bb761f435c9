"""The filter language of `--where`, and its parser into a syntax tree.

    category under 'Apparel' and (price < 50 or colour in ('red', 'blue')) and not title contains 'kids'

A comparison is `FIELD OPERATOR VALUE`: `=`, `!=`, `<`, `<=`, `>`, `>=`, `contains`, `in (…)`, `is missing`,
and `under` for the category. A segment evaluates the tree on its Arrow columns.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from aisle.errors import SearchError, did_you_mean
from aisle.taxonomy import format_path

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<sign><=|>=|!=|<>|==|[=<>(),])
    | (?P<word>[^\W\d][\w.-]*)
    )""",
    re.VERBOSE,
)
_KEYWORDS = {"and", "or", "not", "in", "is", "under", "contains", "missing"}
_ORDER = ("<", "<=", ">", ">=")
_MAX_DEPTH = 50  # of nested brackets


class FilterColumn(NamedTuple):
    """A field to filter by.

    Attributes:
        key: Its column in the store.
        kind: `number`, `text` (stored casefolded), `exact` (stored unchanged) or `category`.
    """

    key: str
    kind: str


class FieldTest(NamedTuple):
    """A comparison of a field.

    Attributes:
        column: The field.
        operator: One of `=`, `!=`, `<`, `<=`, `>`, `>=`, `contains`, `in`, `under`, `missing`.
        values: Values to compare with, casefolded for kind `text`.
    """

    column: FilterColumn
    operator: str
    values: tuple[str | float, ...]


class And(NamedTuple):
    """True if all parts are true."""

    parts: tuple["Condition", ...]


class Or(NamedTuple):
    """True if any part is true."""

    parts: tuple["Condition", ...]


class Not(NamedTuple):
    """True if the part is false."""

    part: "Condition"


Condition = FieldTest | And | Or | Not


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(where: str, columns: Mapping[str, FilterColumn]) -> Condition:
    """Parse a filter into a tree.

    Args:
        where: The filter.
        columns: Fields to filter by, by name, with `category`.

    Raises:
        SearchError: A syntax error, an unknown field, or a comparison that a field's kind does not allow.
    """
    parser = _Parser(where, columns)
    condition = parser.disjunction(0)
    parser.finish()
    return condition


def path_key(path: tuple[str, ...]) -> str:
    """Path of a category as it is stored and compared: casefolded."""
    return format_path([part.strip().casefold() for part in path])


def field_tests(condition: Condition) -> Iterator[FieldTest]:
    """All comparisons of a filter."""
    if isinstance(condition, FieldTest):
        yield condition
    else:
        for part in (condition.part,) if isinstance(condition, Not) else condition.parts:
            yield from field_tests(part)


class _Parser:
    def __init__(self, where: str, columns: Mapping[str, FilterColumn]) -> None:
        self.where, self.columns = where, columns
        self.folded = {name.casefold(): name for name in columns}
        self.tokens, self.position = list(self._tokens()), 0

    def _tokens(self) -> Iterator[_Token]:
        position = 0
        while position < len(self.where):
            if self.where[position:].isspace():
                break
            match = _TOKEN.match(self.where, position)
            if match is None or match.lastgroup is None:
                start = position + len(self.where[position:]) - len(self.where[position:].lstrip())
                problem = "a quote that does not close" if self.where[start] in "'\"" else "not understood"
                raise SearchError(f"--where: {problem}: {self.where[start : start + 30]!r}")
            yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
            position = match.end()

    # -- the grammar: or of ands of comparisons -----------------------------------------------

    def disjunction(self, depth: int) -> Condition:
        parts = [self.conjunction(depth)]
        while self.take("or"):
            parts.append(self.conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self, depth: int) -> Condition:
        parts = [self.negation(depth)]
        while self.take("and"):
            parts.append(self.negation(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negation(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            raise SearchError(f"--where: more than {_MAX_DEPTH} brackets within each other")
        if self.take("not"):
            return Not(self.negation(depth + 1))
        if self.take("("):
            condition = self.disjunction(depth + 1)
            self.expect(")")
            return condition
        return self.comparison()

    def comparison(self) -> Condition:
        name, column = self.field()
        if self.take("is"):
            negated = self.take("not")
            self.expect("missing")
            missing = FieldTest(column, "missing", ())
            return Not(missing) if negated else missing
        if self.take("not"):
            self.expect("in")
            return Not(self.members(name, column))
        if self.take("in"):
            return self.members(name, column)
        for word in ("under", "contains"):
            if self.take(word):
                return self.test(name, column, word, (self.value(name, column, word),))
        sign = self.peek()
        if sign.kind == "sign" and sign.text in ("=", "==", "!=", "<>", *_ORDER):
            self.position += 1
            operator = {"==": "=", "<>": "!="}.get(sign.text, sign.text)
            return self.test(name, column, operator, (self.value(name, column, operator),))
        raise self.wrong("a comparison (=, !=, <, <=, >, >=, in, contains, under, is missing)")

    def members(self, name: str, column: FilterColumn) -> FieldTest:
        self.expect("(")
        values = [self.value(name, column, "=")]
        while self.take(","):
            values.append(self.value(name, column, "="))
        self.expect(")")
        return self.test(name, column, "in", tuple(values))

    def test(self, name: str, column: FilterColumn, operator: str, values: tuple[Any, ...]) -> FieldTest:
        if operator == "under" and column.kind != "category":
            raise SearchError(
                f"--where: nothing is under {name}; only categories are: category under 'Apparel'"
            )
        if operator in _ORDER and column.kind == "category":
            raise SearchError(f"--where: {name} has no order; ask category under 'Apparel', or = a full path")
        if operator == "contains" and column.kind == "number":
            raise SearchError(f"--where: {name} holds numbers: compare it with =, <, <=, > or >=")
        return FieldTest(column, operator, values)

    def field(self) -> tuple[str, FilterColumn]:
        token = self.peek()
        keyword = token.kind == "word" and token.text.lower() in _KEYWORDS - {"missing"}
        if keyword or token.kind in ("sign", ""):
            raise self.wrong("a field's name")
        self.position += 1
        name = _unquoted(token.text) if token.kind == "text" else token.text
        known = self.folded.get(name.casefold())
        if known is None:
            suggestion = did_you_mean(name, self.columns)
            fields = ", ".join(sorted(self.columns)[:20])
            raise SearchError(f"--where: there is no field {name!r}.{suggestion} Fields: {fields}")
        return known, self.columns[known]

    def value(self, name: str, column: FilterColumn, operator: str) -> str | float:
        token = self.peek()
        if token.kind not in ("text", "number", "word"):
            raise self.wrong("a value: a number, or text in quotes")
        self.position += 1
        text = _unquoted(token.text) if token.kind == "text" else token.text
        if column.kind == "number":
            try:
                return float(text)
            except ValueError:
                raise SearchError(f"--where: {name} holds numbers, {text!r} is none") from None
        if token.kind == "number" and operator in _ORDER:
            raise SearchError(
                f"--where: {name} holds text, as not all of its values are plain numbers, and has no order "
                f"among numbers; to compare it as text, use quotes: {name} {operator} '{text}'"
            )
        if token.kind == "word":
            raise SearchError(f"--where: put {token.text!r} into quotes: {name} {operator} '{token.text}'")
        if column.kind == "category":
            return path_key(tuple(text.split(">")))
        return text if column.kind == "exact" else text.casefold()

    # -- tokens -------------------------------------------------------------------------------

    def peek(self) -> _Token:
        return (
            self.tokens[self.position]
            if self.position < len(self.tokens)
            else _Token("", "", len(self.where))
        )

    def take(self, word: str) -> bool:
        token = self.peek()
        if token.kind in ("word", "sign") and token.text.lower() == word:
            self.position += 1
            return True
        return False

    def expect(self, word: str) -> None:
        if not self.take(word):
            raise self.wrong(repr(word))

    def finish(self) -> None:
        if self.position < len(self.tokens):
            raise self.wrong("`and`, `or`, or the end")

    def wrong(self, expected: str) -> SearchError:
        token = self.peek()
        actual = repr(self.where[token.at : token.at + 30]) if token.kind else "the end"
        return SearchError(f"--where: expected {expected}, found {actual}")


def _unquoted(text: str) -> str:
    return text[1:-1].replace(text[0] * 2, text[0])
