"""Loads recipes: model and training parameters as validated TOML."""

import copy
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from aisle.errors import RecipeError, did_you_mean
from aisle.models.config import validate
from aisle.models.linear.config import encoder_key
from aisle.regular_files import read_text
from aisle.training.linear_recipe import LinearRecipe
from aisle.training.network_recipe import NetworkRecipe, check_stages
from aisle.training.recipe_options import RecipeBase
from aisle.training.recipe_toml import toml_string

AnyRecipe = NetworkRecipe | LinearRecipe
_FAMILIES: dict[str, type[NetworkRecipe] | type[LinearRecipe]] = {
    "network": NetworkRecipe,
    "linear": LinearRecipe,
}
ENCODER_KEYS = ("text_encoder", "image_encoder")  # name an encoder once; parts refer to it by the key
# Encoders of a network that read a pretrained model, and the key that may name it.
_ENCODERS = {"TransformerTextEncoder": "text_encoder", "TransformerImageEncoder": "image_encoder"}
# Default lists of a network's recipe, which `--set` can change too.
_DEFAULT_LISTS: dict[str, list[dict[str, Any]]] = {"stages": [{}], "losses": [{"type": "CrossEntropyLoss"}]}


def shipped() -> dict[str, str]:
    """The recipes that come with Aisle, as TOML by name."""
    folder = files("aisle.training") / "recipes"
    entries = sorted(folder.iterdir(), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text() for f in entries if f.name.endswith(".toml")}


def load_recipe(
    recipe: "str | Path | AnyRecipe | Mapping[str, Any]", changes: Sequence[str] = ()
) -> AnyRecipe:
    """Load a recipe.

    Args:
        recipe: the name of a shipped recipe, a TOML file, a dict, or a recipe.
        changes: such as `"views.title.encoder.dim=128"`; `"views.image=false"` removes a table.

    Raises:
        RecipeError: there is no such recipe, an unknown key (the message names the nearest), or an invalid
            value.
    """
    if isinstance(recipe, RecipeBase):
        recipe = recipe.model_dump(exclude_none=True)
    if isinstance(recipe, Mapping):
        return _validated(copy.deepcopy(dict(recipe)), changes, "recipe")
    names = shipped()
    file = Path(recipe)
    if str(recipe) in names:
        text = names[str(recipe)]
    elif file.suffix == ".toml" or file.exists():
        try:
            text = read_text(file)
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"recipe {str(recipe)!r} cannot be read: {error}") from error
    else:
        suggestion = did_you_mean(str(recipe), names)
        raise RecipeError(
            f"there is no recipe {str(recipe)!r}.{suggestion} Shipped: {', '.join(names)}; "
            "or name a .toml file"
        )
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {str(recipe)!r} is not TOML: {error}") from error
    return _validated(data, changes, f"recipe {str(recipe)!r}")


def left_out(change: str, file: Path) -> bool:
    """Whether a change such as `views.image=false` has been applied to a recipe file already.

    Args:
        change: the change.
        file: the recipe.
    """
    path, _, value = change.partition("=")
    data: Any = tomllib.loads(file.read_text())
    for key in path.strip().split("."):
        if not isinstance(data, dict):
            return False
        data = data.get(key)
    return data is None and value.strip() == "false"


def _validated(data: dict[str, Any], changes: Sequence[str], source: str) -> AnyRecipe:
    views = _view_names(data)
    for change in changes:
        path, equals, value = change.partition("=")
        if not equals:
            raise RecipeError(f"--set {change!r} is not KEY=VALUE, such as views.title.encoder.dim=128")
        keys = path.strip().split(".")
        if keys[0] in _DEFAULT_LISTS and len(keys) > 1 and data.get("family") != "linear":
            data.setdefault(keys[0], copy.deepcopy(_DEFAULT_LISTS[keys[0]]))
        _set(data, keys, _parse_value(value.strip()), change)
    family = data.get("family", "network")
    if family not in _FAMILIES:
        suggestion = did_you_mean(str(family), _FAMILIES)
        raise RecipeError(
            f"{source}: there is no family {family!r}.{suggestion} Known: {', '.join(_FAMILIES)}"
        )
    overridden = {change.partition("=")[0].strip() for change in changes} & set(ENCODER_KEYS)
    if family == "network":
        data = _resolve_encoders(data, overridden, source)
    try:
        recipe = validate(_FAMILIES[family], data, source)
    except RecipeError as error:  # a misspelled view in --set looks like an incomplete new view
        new = [name for name in _view_names(data) if name not in views]
        suggestion = did_you_mean(new[0], views) if new else ""
        raise RecipeError(f"{error}.{suggestion}" if suggestion else str(error)) from None
    if removed := set(views) - set(recipe.views):
        recipe = recipe.without(removed)  # also from stages and the fusion
    if isinstance(recipe, NetworkRecipe):
        check_stages(recipe, source)
    if unread := overridden - encoders_read(recipe):
        key = min(unread)
        raise RecipeError(f"{source} reads no {key.replace('_', ' ')}: leave --{key.replace('_', '-')} out")
    return recipe


def _resolve_encoders(data: dict[str, Any], overridden: set[str], source: str) -> dict[str, Any]:
    """Replace references to `text_encoder` and `image_encoder` by the encoders' names.

    Args:
        data: the recipe of a network.
        overridden: the keys set by --set or a flag, which apply to every part that reads such an encoder.
        source: where the recipe comes from, for messages.

    Raises:
        RecipeError: a part refers to an encoder that is not named.
    """

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(item) for item in part]
        if isinstance(part, dict):
            table = {key: resolved(value) for key, value in part.items()}
            key = _ENCODERS.get(str(part.get("type")))
            if key in overridden:
                table["name"] = data[key]
            return table
        if part in ENCODER_KEYS:
            if not data.get(part):
                raise RecipeError(f"{source}: a part refers to {part}, and the recipe names none")
            return data[part]
        return part

    return {key: value if key in ENCODER_KEYS else resolved(value) for key, value in data.items()}


def _view_names(data: Mapping[str, Any]) -> list[str]:
    views = data.get("views")
    return list(views) if isinstance(views, dict) else []


def encoder_changes(text_encoder: str | None, image_encoder: str | None) -> list[str]:
    """The changes that `--text-encoder` and `--image-encoder` stand for."""
    values = zip(ENCODER_KEYS, (text_encoder, image_encoder), strict=True)
    return [f"{key}={toml_string(value)}" for key, value in values if value is not None]


def encoders_read(recipe: AnyRecipe) -> set[str]:
    """The keys `text_encoder` and `image_encoder` that parts of the recipe read."""
    if isinstance(recipe, LinearRecipe):
        return {key for view in recipe.views.values() if (key := encoder_key(view))}
    return {_ENCODERS[v.encoder.type] for v in recipe.views.values() if v.encoder.type in _ENCODERS}


def _parse_value(text: str) -> Any:
    """Parse a TOML value; other text is a string, so that shells need no double quoting."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(data: Any, path: list[str], value: Any, change: str) -> None:
    """Apply one change to nested tables, in place."""
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
            removed = last and value is False
            if removed and isinstance(data.get(key), dict | list):
                del data[key]
            elif removed and path[:-1] == ["views"] and key not in data:
                continue  # the recipe has no such view
            elif last:
                data[key] = value
            else:
                data = data.setdefault(key, {})
        else:
            raise RecipeError(f"--set {change!r}: {'.'.join(path[:i])} is no table")
