"""Rules as they are read from a file, and compiled for one tree."""

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aisle.data import Product
from aisle.data.catalog_format import CatalogFormat
from aisle.errors import did_you_mean, first_line
from aisle.guarantee import Prediction
from aisle.rules.conditions import (
    Cells,
    CompiledRule,
    ModelCondition,
    RulesError,
    TooSlowError,
    compile_fields,
)
from aisle.rules.config import RuleConfig, RulesConfig
from aisle.rules.index import RuleIndex
from aisle.rules.reading import (
    CategoryFinder,
    Places,
    check_ids,
    list_names,
    read_entries,
    read_text,
    validation_error,
)
from aisle.taxonomy import Taxonomy

FORMAT = 1
_PRODUCT_FIELDS = ("id", "title", "description")


@dataclass(frozen=True, eq=False)
class Ruleset:
    """The rules of one file.

    Attributes:
        rules: As in the file.
        lists: Entries of the list files that rules name, by their names in the file.
        text: The file's text.
        name: The file's name, for messages.
        fields: Fields that rules may name although the training catalog has no such column.
        keys: Keys of products' fields by the names in rules, where they differ.
        day: Decides what has expired. Default: the day on which a prediction is made.
    """

    rules: tuple[RuleConfig, ...]
    lists: Mapping[str, tuple[str, ...]]
    text: str
    name: str = "rules.toml"
    fields: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    day: date | None = None

    @classmethod
    def read(cls, file: str | Path) -> "Ruleset":
        """Read a rules file, and the list files beside it that its rules name.

        Raises:
            RulesError: A file cannot be read or is malformed; it names the file, the rule and its line.
        """
        file = Path(file)
        if file.suffix == ".json":  # as `to_json` writes
            return cls.from_json(read_text(file), str(file))
        found = cls.parse(read_text(file), str(file), lambda name: read_text(file.parent / name))
        if not found.rules:
            raise RulesError(f"{file}: there is no [[rule]] in it; `none` instead of a file is for no rules")
        return found

    @classmethod
    def parse(
        cls, text: str, name: str = "rules.toml", read_list: Callable[[str], str] | None = None
    ) -> "Ruleset":
        """Read the text of a rules file.

        Args:
            text: The text.
            name: The file's name, for messages.
            read_list: Returns the text of a list file. Default: there are none.

        Raises:
            RulesError: The text is malformed.
        """
        where = Places(name, text)
        try:
            data = tomllib.loads(text.removeprefix("\ufeff"))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RulesError(f"{name}: not TOML: {first_line(error).partition(': ')[2]}") from error
        try:
            config = RulesConfig.model_validate(data)
        except ValidationError as error:
            raise validation_error(error, data, where) from error
        check_ids(config.rule, where)
        lists: dict[str, tuple[str, ...]] = {}
        for number, rule in enumerate(config.rule):
            for listed in list_names(rule):
                if listed not in lists:
                    lists[listed] = read_entries(listed, read_list, where.error(number, rule))
        made = cls(tuple(config.rule), lists, text, name, tuple(config.fields))
        for number, rule in enumerate(config.rule):
            made._conditions(number, rule)  # malformed patterns are found here
        return made

    # -- keeping ------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The text and the lists, as JSON."""
        data = {"format": FORMAT, "name": Path(self.name).name, "text": self.text, "lists": self.lists}
        return json.dumps(data, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str, name: str | None = None) -> "Ruleset":
        """Read what `to_json` wrote.

        Raises:
            RulesError: The text is something else, or its rules are malformed.
        """
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ValueError
            lists = {str(key): "\n".join(map(str, value)) for key, value in data["lists"].items()}
            toml, called = str(data["text"]), str(data["name"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RulesError(f"{name or 'rules'}: not as `aisle rules set` saves earlier rules") from error
        return cls.parse(toml, name or called, lists.__getitem__)

    @cached_property
    def digest(self) -> str:
        """A hash of the text and the lists: 12 hex digits."""
        return sha256(json.dumps([self.text, self.lists], sort_keys=True).encode()).hexdigest()[:12]

    def at(self, day: date) -> "Ruleset":
        """The same rules on a given day."""
        return replace(self, day=day)

    @property
    def today(self) -> date:
        """The day that decides what has expired."""
        return self.day or date.today()

    @property
    def expired(self) -> list[str]:
        """The ids of rules that no longer act."""
        today = self.today
        return [rule.id for rule in self.rules if not rule.acts_on(today)]

    def __str__(self) -> str:
        expired = f", {len(self.expired):,} expired" if self.expired else ""
        return (
            f"{len(self.rules):,} rule{'' if len(self.rules) == 1 else 's'}{expired}, version {self.digest}"
        )

    @property
    def statement(self) -> str:
        """What they mean for the guarantee of a model, in words."""
        return f"rules: {self}; products on which they act are counted apart, no guarantee covers them"

    # -- binding ------------------------------------------------------------------------------

    @cached_property
    def named_fields(self) -> tuple[str, ...]:
        """The keys of products' fields that conditions read."""
        tables = (table for rule in self.rules for table in (*rule.when, *rule.unless))
        return tuple(sorted({self.keys.get(name, name) for table in tables for name in table}))

    @cached_property
    def names_sources(self) -> bool:
        """Whether any rule names the files that products come from."""
        return any(rule.source for rule in self.rules)

    def for_columns(self, written: CatalogFormat | None, also: Iterable[str] = ()) -> "Ruleset":
        """The same rules, with fields named as in a catalog.

        Args:
            written: The format of the training catalog; None: any field may be named.
            also: Further fields.

        Raises:
            RulesError: A rule names a field that is not there.
        """
        if written is None:
            return self
        roles = written.columns
        keys = {str(roles[role]): role for role in _PRODUCT_FIELDS if roles.get(role)}
        known = {*_PRODUCT_FIELDS, *keys, *roles.get("fields", ()), *self.fields, *also}
        for number, rule in enumerate(self.rules):
            for name in (name for table in (*rule.when, *rule.unless) for name in table):
                if name not in known:
                    near = did_you_mean(name, known) or f" The fields are: {', '.join(sorted(known))}."
                    raise self._error(number, f"no field {name!r} in the catalog.{near}")
        return replace(self, keys=keys)

    def on(self, taxonomy: Taxonomy) -> "CompiledRules":
        """The rules for one tree; the result is kept.

        Raises:
            RulesError: A category is not in the tree.
        """
        found = self._compiled.get(taxonomy)
        if found is None:
            found = self._compiled[taxonomy] = CompiledRules(self, taxonomy)
        return found

    @cached_property
    def _compiled(self) -> "dict[Taxonomy, CompiledRules]":
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_compiled"}

    def _error(self, number: int, message: str) -> RulesError:
        return Places(self.name, self.text).error(number, self.rules[number])(message)

    def _conditions(self, number: int, rule: RuleConfig) -> tuple[Any, Any]:
        def fail(message: str) -> RulesError:
            return self._error(number, message)

        when = compile_fields(rule.when, self.keys, self.lists, fail)
        unless = compile_fields(rule.unless, self.keys, self.lists, fail)
        return tuple(condition for group in when for condition in group), tuple(unless)

    def compiled_rule(self, number: int, place: int, nodes: "CategoryFinder") -> CompiledRule:
        """One rule for a tree; `place` is its place in the order in which rules act."""
        rule = self.rules[number]

        def resolve(names: Iterable[str]) -> tuple[int, ...]:
            return tuple(nodes.find(name, lambda message: self._error(number, message)) for name in names)

        when, unless = self._conditions(number, rule)
        predicted = [*rule.predicted, *(rule.category if rule.action == "review" else ())]
        model = ModelCondition(
            tuple(nodes.taxonomy.nodes[node].path for node in resolve(predicted)),
            rule.confidence,
            frozenset(rule.decision),
            tuple(name.casefold() for name in rule.source),
        )
        chosen = resolve(rule.category)
        spans = tuple((start, stop) for start, stop in nodes.taxonomy.span[list(chosen)].tolist())
        return CompiledRule(rule, place, chosen, spans, when, unless, model)


class CompiledRules:
    """Rules for one tree, in the order in which they act, with an index.

    Args:
        ruleset: The rules.
        taxonomy: The tree.

    Raises:
        RulesError: A category is not in the tree.
    """

    def __init__(self, ruleset: Ruleset, taxonomy: Taxonomy) -> None:
        self.ruleset, self.taxonomy = ruleset, taxonomy
        nodes = CategoryFinder(taxonomy)
        order = sorted(range(len(ruleset.rules)), key=lambda i: -ruleset.rules[i].priority)
        self.rules = [ruleset.compiled_rule(i, place, nodes) for place, i in enumerate(order)]
        self._index = RuleIndex(self.rules)

    def matching(
        self, product: Product, prediction: Prediction, source: str = "", day: date | None = None
    ) -> Iterator[tuple[CompiledRule, bool]]:
        """The rules that concern a product, in the order in which they act.

        Args:
            product: The product.
            prediction: The model's prediction.
            source: The name of the file that the product comes from.
            day: Decides what has expired. Default: today.

        Yields:
            A rule, and whether one of its patterns took too long, so that nothing is known of it.
        """
        day = day or self.ruleset.today
        cells = Cells(product)
        for number in self._index.candidates(cells):
            rule = self.rules[number]
            try:
                if rule.holds(cells, prediction, source, day):
                    yield rule, False
            except TooSlowError:
                yield rule, True
