"""Recipes as TOML, and their differences."""

import json
from collections.abc import Mapping
from typing import Any

from aisle.training.recipe_options import RecipeBase


def to_toml(recipe: RecipeBase) -> str:
    """Write a recipe as TOML; `load_recipe` reads an equal one."""
    lines: list[str] = []
    _write_table(recipe.model_dump(exclude_none=True), "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], path: str, lines: list[str]) -> None:
    nested = {k: v for k, v in table.items() if isinstance(v, dict) or _is_tables(v)}
    lines += [f"{_key(k)} = {_toml(v)}" for k, v in table.items() if k not in nested]
    for key, value in nested.items():
        name = f"{path}.{_key(key)}" if path else _key(key)
        for item in value if isinstance(value, list) else [value]:
            lines += ["", f"[[{name}]]" if isinstance(value, list) else f"[{name}]"]
            _write_table(item, name, lines)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else toml_string(key)


def toml_string(text: str) -> str:
    """A TOML string: the escapes are those of JSON, except that DEL is escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, float):
        text = repr(value)
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    return toml_string(value) if isinstance(value, str) else json.dumps(value)


def difference(a: RecipeBase, b: RecipeBase) -> str:
    """The first key in which two recipes differ, with both values; empty where they are equal."""

    def first(a: Any, b: Any, path: str) -> str:
        if isinstance(a, dict) and isinstance(b, dict):
            pairs = [(key, a.get(key), b.get(key)) for key in dict.fromkeys([*a, *b])]
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            pairs = [(str(i), *values) for i, values in enumerate(zip(a, b, strict=True))]
        else:
            values = ["nothing" if value is None else f"{value!r:.60}" for value in (a, b)]
            return f"{path}: {values[0]}, not {values[1]}"
        key, x, y = next(pair for pair in pairs if pair[1] != pair[2])
        return first(x, y, f"{path}.{key}" if path else key)

    x, y = (recipe.model_dump(exclude_none=True) for recipe in (a, b))
    return "" if x == y else first(x, y, "")
