"""A recipe: everything a training run is told, as validate TOML. A list of stages, usually one."""

import copy
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator

from aisle.errors import RecipeError, did_you_mean
from aisle.metrics import overall
from aisle.models.config import ModelSpec, PartSpec, validate
from aisle.models.linear.config import LinearSpec, encoder_key
from aisle.models.options import Strict
from aisle.regular_files import read_text


class LossSpec(PartSpec):
    """A loss by the name of its class, how much it counts, and its options."""

    weight: float = Field(default=1.0, ge=0)


class Stage(Strict):
    """One training stage: what is trained, from which weights, and for how long.

    Attributes:
        name: name of the stage, for messages and for `init_from`.
        views: views that are shown; the others count as missing, and their encoders are not trained. All by
            default.
        freeze: what else is not trained: views (their encoders; the missing token is always trained),
            `fusion`, `head`.
        init_from: an earlier stage whose weights this one starts from; the previous stage by default.
        epochs: passes over the rows; more where `min_steps` needs them.
        min_steps: the fewest optimizer steps.
        batch_size: rows a batch.
        optimizer: a class of `torch.optim`.
        lr: the highest learning rate.
        lr_multipliers: factors on `lr` for single views, `fusion` or `head`.
        weight_decay: L2 penalty on matrices; biases, norms and tokens have none.
        warmup: share of all steps in which the learning rate rises.
        schedule: how the learning rate falls after that.
        max_grad_norm: the largest gradient norm.
        gradient_accumulation_steps: batches an optimizer step.
        patience: epochs without a better `metric` before the stage ends with its best weights; 0 never
            stops early.
        metric: nll, one of `aisle.metrics.overall`, or the accuracy of a level: level1, level2, …
        ema_decay: decay of the exponential moving average of weights, which replaces the last weights; 0 is
            off.
    """

    name: str = "train"
    freeze: list[str] = Field(default_factory=list)
    views: list[str] | None = None
    init_from: str | None = None
    epochs: int = Field(default=20, ge=1)
    min_steps: int = Field(default=0, ge=0)
    batch_size: int = Field(default=64, ge=1)
    optimizer: Literal["AdamW", "Adam", "RAdam", "RMSprop", "SGD"] = "AdamW"
    lr: float = Field(default=1e-3, gt=0)
    lr_multipliers: dict[str, float] = Field(default_factory=dict)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    max_grad_norm: float = Field(default=1.0, gt=0)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    patience: int = Field(default=0, ge=0)
    metric: str = "accuracy"
    ema_decay: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, name: str) -> str:
        metrics = (*overall.__all__, "nll")
        if name not in metrics and not re.fullmatch(r"level[1-9]\d*", name):
            known = f"{', '.join(metrics)}, level1, level2, …"
            raise ValueError(f"no metric {name!r}: {known}.{did_you_mean(name, metrics)}")
        return name

    def without(self, names: set[str]) -> "Stage":
        """The same with these views neither shown nor trained."""
        shown = None if self.views is None else [name for name in self.views if name not in names]
        rates = {name: rate for name, rate in self.lr_multipliers.items() if name not in names}
        freeze = [name for name in self.freeze if name not in names]
        return self.model_copy(update={"views": shown, "freeze": freeze, "lr_multipliers": rates})

    def trained_parts(self, views: Iterable[str]) -> set[str]:
        """Of these views, `fusion` and `head` what this stage trains."""
        shown = {name for name in views if self.views is None or name in self.views}
        return (shown | {"fusion", "head"}) - set(self.freeze)


class Split(Strict):
    """Shares of the training rows kept aside, disjoint, near-duplicates on one side: for early stopping, for
    calibration and for the thresholds of the guarantee; each at most `max_rows` rows. by: `random`, or
    `time`: trained on the oldest rows; validation, calibration and threshold rows are ever newer ones."""

    by: Literal["random", "time"] = "random"
    validation: float = Field(default=0.05, ge=0, lt=0.5)
    calibration: float = Field(default=0.05, ge=0, lt=0.5)
    threshold: float = Field(default=0.1, ge=0, lt=0.5)
    max_rows: int = Field(default=20_000, ge=1)


class GuaranteeOptions(Strict):
    """At least `precision` of the automatic decisions are right, except with probability `alpha` over the
    labelled rows it was fitted on. prefer: full paths at the price of fewer decisions (`depth`), or as many
    decisions as possible, full paths or branches (`coverage`). method: `cross-fit` trains on every labelled
    row and calibrates on every row's out-of-fold scores (linear models only); `hold-out` calibrates on the
    rows that `split` keeps aside; `none` gives no guarantee; `auto` takes `cross-fit` for linear models of at
    most `max_rows` rows, and `hold-out` otherwise. folds: of `cross-fit`. max_scores: rows times categories
    that are scored at most; beyond it `cross-fit` scores its first folds alone, and `hold-out` keeps fewer
    rows aside."""

    precision: float = Field(default=0.95, gt=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    prefer: Literal["depth", "coverage"] = "depth"
    method: Literal["auto", "cross-fit", "hold-out", "none"] = "auto"
    folds: int = Field(default=5, ge=2)
    max_rows: int = Field(default=100_000, ge=1)
    max_scores: int = Field(default=2**25, ge=1)


class RecipeBase(Strict):
    """What recipes of every family say: who they are, what is kept aside and what is guaranteed."""

    name: str = "unnamed"
    description: str = ""
    seed: int = 0
    split: Split = Split()
    guarantee: GuaranteeOptions = GuaranteeOptions()


class Recipe(RecipeBase, ModelSpec):
    """A fusion network, its losses and its stages.

    Attributes:
        text_encoder: folder or hub name of a text encoder, for parts that name this key instead.
        image_encoder: the same for images.
        precision: precision of training; by default bf16 on GPUs of compute capability 8.0 or more, else
            fp32. fp16 scales the loss and needs a GPU.
        label_name_examples: add each category's name as a training row.
        view_dropout: probability that a present view is treated as missing in training.
        max_tokens: the most tokens a view gives to a fusion that reads them; of more, neighbors are
            averaged.
    """

    family: Literal["network"] = "network"
    text_encoder: str | None = None
    image_encoder: str | None = None
    precision: Literal["fp32", "bf16", "fp16"] | None = None
    label_name_examples: bool = False
    losses: list[LossSpec] = Field(default_factory=lambda: [LossSpec(type="CrossEntropyLoss")])
    stages: list[Stage] = Field(default_factory=lambda: [Stage()], min_length=1)

    @property
    def network(self) -> ModelSpec:
        """The part that a bundle keeps."""
        return ModelSpec(**{name: getattr(self, name) for name in ModelSpec.model_fields})

    def without(self, names: set[str]) -> Self:
        """The same with these views left out, and the stages that train nothing else.

        Raises:
            RecipeError: no stage is left.
        """
        fewer = super().without(names)
        stages = [stage.without(names) for stage in self.stages]
        trained = {name for name, view in fewer.views.items() if not view.freeze}
        kept = [stage for stage in stages if stage.views != [] and stage.trained_parts(trained)]
        if not kept:
            raise RecipeError(
                f"recipe {self.name!r} trains only views that are left out: {', '.join(sorted(names))}"
            )
        there = {stage.name for stage in kept}
        stages = [s if s.init_from in there else s.model_copy(update={"init_from": None}) for s in kept]
        return fewer.model_copy(update={"stages": stages})


class LinearRecipe(RecipeBase, LinearSpec):
    """A linear model; see `aisle.models.linear.config.LinearSpec`."""

    @property
    def model(self) -> LinearSpec:
        """The part that a bundle keeps."""
        return LinearSpec(**{name: getattr(self, name) for name in LinearSpec.model_fields})

    def without(self, names: set[str]) -> Self:
        """The same with these views left out.

        Raises:
            RecipeError: no view is left.
        """
        kept = {name: view for name, view in self.views.items() if name not in names}
        if not kept:
            raise RecipeError(f"recipe {self.name!r} reads only views that are left out: {', '.join(names)}")
        return self.model_copy(update={"views": kept})


AnyRecipe = Recipe | LinearRecipe
_FAMILIES: dict[str, type[Recipe] | type[LinearRecipe]] = {"network": Recipe, "linear": LinearRecipe}


def shipped() -> dict[str, str]:
    """The recipes that come with Aisle: name -> TOML text."""
    folder = files("aisle.training") / "recipes"
    found = sorted(folder.iterdir(), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text() for f in found if f.name.endswith(".toml")}


def load_recipe(
    recipe: "str | Path | AnyRecipe | Mapping[str, Any]", changes: Sequence[str] = ()
) -> AnyRecipe:
    """A shipped recipe by name, a TOML file, a dict, or a recipe; with `changes` such as
    `"views.title.encoder.dim=128"` applied; `"views.image=false"` leaves a whole table out.

    Raises:
        RecipeError: no such recipe, an unknown key (the nearest is named) or a bad value.
    """
    if isinstance(recipe, RecipeBase):
        recipe = recipe.model_dump(exclude_none=True)
    if isinstance(recipe, Mapping):
        return _checked(copy.deepcopy(dict(recipe)), changes, "recipe")
    known = shipped()
    file = Path(recipe)
    if str(recipe) in known:
        text = known[str(recipe)]
    elif file.suffix == ".toml" or file.exists():
        try:
            text = read_text(file)
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"recipe {str(recipe)!r} cannot be read: {error}") from error
    else:
        near = did_you_mean(str(recipe), known)
        raise RecipeError(
            f"there is no recipe {str(recipe)!r}.{near} Shipped: {', '.join(known)}; or name a .toml file"
        )
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {str(recipe)!r} is not TOML: {error}") from error
    return _checked(data, changes, f"recipe {str(recipe)!r}")


def left_out(change: str, file: Path) -> bool:
    """Whether a change such as `views.image=false` was applied to this recipe before: the table is gone."""
    path, _, value = change.partition("=")
    data: Any = tomllib.loads(file.read_text())
    for key in path.strip().split("."):
        if not isinstance(data, dict):
            return False
        data = data.get(key)
    return data is None and value.strip() == "false"


ENCODER_KEYS = ("text_encoder", "image_encoder")  # name an encoder once; parts refer to it by this word
# Encoders of a network that read a pretrained model, and the key that may name it.
_ENCODERS = {"TransformerTextEncoder": "text_encoder", "TransformerImageEncoder": "image_encoder"}

# Lists that a recipe need not write down, as they are then: `--set` reaches into them too.
_UNSAID: dict[str, list[dict[str, Any]]] = {"stages": [{}], "losses": [{"type": "CrossEntropyLoss"}]}


def _checked(data: dict[str, Any], changes: Sequence[str], what: str) -> AnyRecipe:
    before = _names_of_views(data)
    for change in changes:
        path, equals, value = change.partition("=")
        if not equals:
            raise RecipeError(f"--set {change!r} is not KEY=VALUE, such as views.title.encoder.dim=128")
        keys = path.strip().split(".")
        if keys[0] in _UNSAID and len(keys) > 1 and data.get("family") != "linear":
            data.setdefault(keys[0], copy.deepcopy(_UNSAID[keys[0]]))
        _set(data, keys, _value(value.strip()), change)
    family = data.get("family", "network")
    if family not in _FAMILIES:
        near = did_you_mean(str(family), _FAMILIES)
        raise RecipeError(f"{what}: there is no family {family!r}.{near} Known: {', '.join(_FAMILIES)}")
    told = {change.partition("=")[0].strip() for change in changes} & set(ENCODER_KEYS)
    if family == "network":
        data = _with_encoders(data, told, what)
    try:
        recipe = validate(_FAMILIES[family], data, what)
    except RecipeError as error:  # a misspelled view in --set is a new view, and half of one
        new = [name for name in _names_of_views(data) if name not in before]
        near = did_you_mean(new[0], before) if new else ""
        raise RecipeError(f"{error}.{near}" if near else str(error)) from None
    if gone := set(before) - set(recipe.views):
        recipe = recipe.without(gone)  # no stage or fusion speaks of them either
    if isinstance(recipe, Recipe):
        _check_stages(recipe, what)
    if unread := told - encoders_read(recipe):
        key = min(unread)
        raise RecipeError(f"{what} reads no {key.replace('_', ' ')}: leave --{key.replace('_', '-')} out")
    return recipe


def _with_encoders(data: dict[str, Any], told: set[str], what: str) -> dict[str, Any]:
    """A network's recipe with its encoders named wherever a part refers to one.

    Args:
        data: the recipe.
        told: encoders that --set or a flag names: every part that reads one of their kind takes that.
        what: the recipe, for messages.

    Raises:
        RecipeError: a part refers to an encoder that is not named.
    """

    def named(part: Any) -> Any:
        if isinstance(part, list):
            return [named(one) for one in part]
        if isinstance(part, dict):
            made = {key: named(value) for key, value in part.items()}
            kind = _ENCODERS.get(str(part.get("type")))
            if kind in told:
                made["name"] = data[kind]
            return made
        if part in ENCODER_KEYS:
            if not data.get(part):
                raise RecipeError(f"{what}: a part refers to {part}, and the recipe names none")
            return data[part]
        return part

    return {key: value if key in ENCODER_KEYS else named(value) for key, value in data.items()}


def _names_of_views(data: Mapping[str, Any]) -> list[str]:
    views = data.get("views")
    return list(views) if isinstance(views, dict) else []


def _check_stages(recipe: Recipe, what: str) -> None:
    """Whether stages name what there is, and each other once."""
    named = {*recipe.views, "fusion", "head"}
    stages = [stage.name for stage in recipe.stages]
    for i, stage in enumerate(recipe.stages):
        for name in (*stage.freeze, *stage.lr_multipliers, *(stage.views or ())):
            if name not in named:
                raise RecipeError(f"{what}: stage {stage.name!r} names {name!r}.{did_you_mean(name, named)}")
        if stage.init_from is not None and stage.init_from not in stages[:i]:
            near = did_you_mean(stage.init_from, stages[:i])
            raise RecipeError(
                f"{what}: stage {stage.name!r} starts from {stage.init_from!r}, no earlier stage.{near}"
            )
        if stage.name in stages[:i]:
            raise RecipeError(f"{what}: two stages are called {stage.name!r}; give each a name of its own")
        if stage.patience and not recipe.split.validation:
            raise RecipeError(
                f"{what}: stage {stage.name!r} has patience, but no rows to judge by are kept aside; "
                f"set split.validation = 0.05, or stages.{i}.patience = 0"
            )
        if not stage.trained_parts(name for name, view in recipe.views.items() if not view.freeze):
            raise RecipeError(f"{what}: stage {stage.name!r} freezes everything; shorten `freeze`")


def encoder_changes(text_encoder: str | None, image_encoder: str | None) -> list[str]:
    """The changes that `--text-encoder` and `--image-encoder` stand for."""
    given = zip(ENCODER_KEYS, (text_encoder, image_encoder), strict=True)
    return [f"{key}={_string(value)}" for key, value in given if value is not None]


def encoders_read(recipe: AnyRecipe) -> set[str]:
    """Which of a recipe's two encoders its parts read."""
    if isinstance(recipe, LinearRecipe):
        return {key for view in recipe.views.values() if (key := encoder_key(view))}
    return {_ENCODERS[v.encoder.type] for v in recipe.views.values() if v.encoder.type in _ENCODERS}


def _value(text: str) -> Any:
    """A TOML value; anything that is none is a string, so that shells need no double quoting."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(data: Any, path: list[str], value: Any, change: str) -> None:
    for i, key in enumerate(path):
        last = i == len(path) - 1
        if isinstance(data, list):
            if not key.isdecimal() or int(key) >= len(data):
                raise RecipeError(
                    f"--set {change!r}: {'.'.join(path[:i])} is a list; use 0 to {len(data) - 1}"
                )
            if last:
                data[int(key)] = value
            else:
                data = data[int(key)]
        elif isinstance(data, dict):
            gone = last and value is False
            if gone and isinstance(data.get(key), dict | list):
                del data[key]
            elif gone and path[:-1] == ["views"] and key not in data:
                continue  # a view that the recipe does not have is left out already
            elif last:
                data[key] = value
            else:
                data = data.setdefault(key, {})
        else:
            raise RecipeError(f"--set {change!r}: {'.'.join(path[:i])} is no table")


def difference(one: AnyRecipe, other: AnyRecipe) -> str:
    """The first key in which two recipes differ, and its two values; empty where they are equal."""

    def first(a: Any, b: Any, path: str) -> str:
        if isinstance(a, dict) and isinstance(b, dict):
            pairs = [(key, a.get(key), b.get(key)) for key in dict.fromkeys([*a, *b])]
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            pairs = [(str(i), *values) for i, values in enumerate(zip(a, b, strict=True))]
        else:
            shown = ["nothing" if value is None else f"{value!r:.60}" for value in (a, b)]
            return f"{path}: {shown[0]}, not {shown[1]}"
        where, x, y = next(found for found in pairs if found[1] != found[2])
        return first(x, y, f"{path}.{where}" if path else where)

    a, b = (recipe.model_dump(exclude_none=True) for recipe in (one, other))
    return "" if a == b else first(a, b, "")


def to_toml(recipe: AnyRecipe) -> str:
    """The resolved recipe as TOML that `load_recipe` reads back to an equal one."""
    lines: list[str] = []
    _write_table(recipe.model_dump(exclude_none=True), "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], path: str, lines: list[str]) -> None:
    nested = {k: v for k, v in table.items() if isinstance(v, dict) or _is_tables(v)}
    lines += [f"{_key(k)} = {_toml(v)}" for k, v in table.items() if k not in nested]
    for key, value in nested.items():
        name = f"{path}.{_key(key)}" if path else _key(key)
        for one in value if isinstance(value, list) else [value]:
            lines += ["", f"[[{name}]]" if isinstance(value, list) else f"[{name}]"]
            _write_table(one, name, lines)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _string(key)


def _string(text: str) -> str:
    """JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, float):
        return (
            repr(value) if "e" not in repr(value) or "." in repr(value) else repr(value).replace("e", ".0e")
        )
    return _string(value) if isinstance(value, str) else json.dumps(value)
