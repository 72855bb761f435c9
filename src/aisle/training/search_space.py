"""Hyperparameters of a recipe that `aisle tune` searches, with their ranges."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aisle.errors import RecipeError
from aisle.training.linear_recipe import LinearRecipe
from aisle.training.network_recipe import NetworkRecipe
from aisle.training.recipe import AnyRecipe, load_recipe

Value = float | int | str | bool
_WIDTH = 4.0  # a range goes from the recipe's value divided by this to the value times this


class Hyperparameter(NamedTuple):
    """One hyperparameter and the values that may be tried.

    Attributes:
        key: recipe key, such as `linear_svm.penalty`.
        low: lowest value of a range.
        high: highest value of a range.
        log: whether the range is searched on a logarithmic scale.
        integer: whether the values of the range are whole numbers.
        choices: the values of a list; empty for a range.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    choices: tuple[Value, ...] = ()

    def __str__(self) -> str:
        if self.choices:
            return f"{self.key}={','.join(map(str, self.choices))}"
        return f"{self.key}={self.low:g}..{self.high:g}{':log' if self.log else ''}"

    @classmethod
    def parse(cls, text: str) -> "Hyperparameter":
        """Read `KEY=LOW..HIGH`, `KEY=LOW..HIGH:log` or `KEY=A,B,C`.

        Two whole numbers make a range of whole numbers.

        Raises:
            RecipeError: The text has another form.
        """
        key, equals, values = (part.strip() for part in text.partition("="))
        help_text = f"--search {text!r} is not KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A,B,C"
        if not equals or not key or not values:
            raise RecipeError(help_text)
        if ".." not in values:
            return cls(key, choices=tuple(_value(one.strip()) for one in values.split(",")))
        span, _, scale = values.partition(":")
        bounds = [_value(one.strip()) for one in span.split("..")]
        if len(bounds) != 2 or scale.strip() not in ("", "log"):
            raise RecipeError(help_text)
        low, high = bounds
        if not all(isinstance(bound, int | float) and math.isfinite(bound) for bound in bounds):
            raise RecipeError(f"--search {text!r}: the ends of a range are numbers")
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        if low >= high or (scale and low <= 0):
            rule = "a logarithmic range begins above 0" if scale and low <= 0 else "LOW is less than HIGH"
            raise RecipeError(f"--search {text!r}: {rule}")
        integer = all(isinstance(bound, int) for bound in bounds)
        return cls(key, float(low), float(high), bool(scale), integer)

    def including(self, value: Value) -> "Hyperparameter":
        """The same, extended to include a value: the recipe's own is always tried."""
        if self.choices:
            return self if value in self.choices else self._replace(choices=(value, *self.choices))
        number = float(value)
        if self.log and number <= 0:
            raise RecipeError(f"{self.key} is {value} in the recipe: leave :log out of its range")
        is_integer = self.integer and number == int(number)
        return self._replace(low=min(self.low, number), high=max(self.high, number), integer=is_integer)

    def suggest(self, trial: Any) -> Value:
        """The value of an Optuna trial."""
        if self.choices:
            return trial.suggest_categorical(self.key, self.choices)
        if self.integer:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)


def default_space(recipe: AnyRecipe) -> list[Hyperparameter]:
    """The hyperparameters of a recipe that matter most, with ranges around its values."""
    if isinstance(recipe, LinearRecipe):
        return list(_linear_space(recipe))
    return list(_network_space(recipe))


def search_space(recipe: AnyRecipe, ranges: Sequence[str]) -> list[Hyperparameter]:
    """The hyperparameters to search: those given, or the defaults of the recipe.

    Args:
        recipe: The recipe; its own values are included in the ranges.
        ranges: `--search` options.

    Raises:
        RecipeError: An option is malformed, names a key twice, or a key that the recipe does not have; or a
            value is not allowed.
    """
    space = [Hyperparameter.parse(text) for text in ranges] or default_space(recipe)
    keys = [parameter.key for parameter in space]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise RecipeError(f"--search {min(twice)} is given twice")
    space = [parameter.including(recipe_value(recipe, parameter.key)) for parameter in space]
    for parameter in space:  # before anything is trained
        ends = [*parameter.choices] if parameter.choices else [parameter.low, parameter.high]
        for value in ends:
            with_values(
                recipe, {parameter.key: int(value) if parameter.integer and not parameter.choices else value}
            )
    return space


def recipe_value(recipe: AnyRecipe, key: str) -> Value:
    """The value of a key in a recipe.

    Raises:
        RecipeError: The recipe does not have the key, or it is a table or a list.
    """
    value: Any = recipe.model_dump(exclude_none=True)
    for part in key.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            raise RecipeError(f"recipe {recipe.name!r} has no key {key!r}: `aisle recipes` shows its keys")
    if not isinstance(value, int | float | str | bool):
        raise RecipeError(f"{key} of recipe {recipe.name!r} is a table or a list: name a key with one value")
    return value


def with_values(recipe: AnyRecipe, values: Mapping[str, Value]) -> AnyRecipe:
    """A copy of a recipe with other values.

    Raises:
        RecipeError: A value is not allowed.
    """
    return load_recipe(recipe, [f"{key}={json.dumps(value)}" for key, value in values.items()])


def _value(text: str) -> Value:
    """A number, true, false, or the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def _around(recipe: AnyRecipe, key: str) -> Hyperparameter:
    value = float(recipe_value(recipe, key))
    return Hyperparameter(key, value / _WIDTH, value * _WIDTH, log=True)


def _linear_space(recipe: LinearRecipe) -> Iterator[Hyperparameter]:
    sparse = [name for name, view in recipe.views.items() if view.type == "Tfidf"]
    yield Hyperparameter("logit_adjustment", 0.0, 0.4)
    if sparse:
        yield _around(recipe, "linear_svm.penalty")
        yield Hyperparameter("linear_svm.positive_weight", 1.0, 20.0, log=True)
        yield Hyperparameter("linear_svm.level1_weight", 0.0, 0.7)
        for name in sparse[1:]:  # relative to the first
            yield _around(recipe, f"views.{name}.scale")
    if len(sparse) < len(recipe.views):
        yield _around(recipe, "ridge.penalty")
        yield _around(recipe, "ridge.scale")
        yield Hyperparameter("ridge.class_balance", 0.0, 1.0)


def _network_space(recipe: NetworkRecipe) -> Iterator[Hyperparameter]:
    yield Hyperparameter("view_dropout", 0.0, 0.4)
    for i, stage in enumerate(recipe.stages):
        yield _around(recipe, f"stages.{i}.lr")
        if stage.weight_decay > 0:
            yield _around(recipe, f"stages.{i}.weight_decay")
        low, high = max(stage.epochs // 2, 1), stage.epochs * 2
        yield Hyperparameter(f"stages.{i}.epochs", low, high, integer=True)
