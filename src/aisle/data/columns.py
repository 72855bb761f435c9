"""Column roles: which column holds the id, title, label, images and so on."""

import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from aisle.errors import CatalogError, did_you_mean
from aisle.regular_files import read_text

CALLER_PREFIX = "fields."  # prefix of fields that callers of a server named
DECISION_COLUMNS = ("aisle_decision", "aisle_confidence")  # added to a filled export; never fields


@dataclass(frozen=True)
class Columns:
    """The role of every column of a catalog. `None` and `()`: no column has the role.

    Attributes:
        id: The product id.
        title: The title.
        description: The description.
        category: One label per row: a path, an id, or a JSON list.
        levels: One column per level of the label, top first.
        images: Paths, URLs or bytes of images.
        image_template: Builds an image path from other columns, such as `"images/{imageid}_{productid}.jpg"`.
        split: The split: train, validation, calibration or test.
        weight: The sample weight in training, not the weight of the product.
        date: The date of the row.
        group: Variants of one product share its value.
        vectors: Embeddings.
        fields: Further text, under its own name.
        ignored: Columns that are not fields, such as a second label, which would leak the first.
        delimiter: Separates the levels of a label. This and the next three: None means detected.
        separator: Separates several categories in a label.
        image_separator: Separates several images in a cell.
        date_format: The date format, such as `%d/%m/%Y`.
    """

    id: str | None = None
    title: str | None = None
    description: str | None = None
    category: str | None = None
    levels: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    image_template: str | None = None
    split: str | None = None
    weight: str | None = None
    date: str | None = None
    group: str | None = None
    vectors: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    delimiter: str | None = None
    separator: str | None = None
    image_separator: str | None = None
    date_format: str | None = None

    @cached_property
    def text(self) -> dict[str, str]:
        """Field name -> column: `title` and `description` first, the rest under their own names. A column
        `fields.brand` is the field `brand`, where no other column is."""
        by_role = {"title": self.title, "description": self.description}
        text_columns = {name: column for name, column in by_role.items() if column is not None}
        for column in self.fields:
            name = column.removeprefix(CALLER_PREFIX)
            free = name and name not in text_columns and name not in self.fields
            text_columns.setdefault(name if free else column, column)
        return text_columns

    @property
    def label(self) -> tuple[str, ...]:
        """The columns that hold the label; none in a catalog without labels."""
        return (self.category,) if self.category is not None else self.levels

    def describe(self) -> list[tuple[str, str]]:
        """(role, columns) pairs for display."""
        lines = []
        for part in fields(self):
            value = getattr(self, part.name)
            if value not in (None, (), ""):
                lines.append(
                    (part.name.replace("_", " "), ", ".join(value) if isinstance(value, tuple) else value)
                )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The roles that are set, as in a TOML file."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v not in (None, ())}


_LISTS = {"levels", "images", "vectors", "fields", "ignored"}


def parse_columns(columns: "Mapping[str, Any] | Columns | str | Path | None") -> dict[str, Any]:
    """Validate column roles given as a mapping, a `Columns`, or a TOML file.

    Raises:
        CatalogError: an unknown key, a value of the wrong type, or an unreadable TOML file.
    """
    if columns is None:
        return {}
    if isinstance(columns, Columns):
        columns = columns.to_dict()
    if isinstance(columns, str | Path):
        columns = _from_toml(Path(columns))
    known = [part.name for part in fields(Columns)]
    checked: dict[str, Any] = {}
    for key, value in columns.items():
        if key not in known:
            suggestion = did_you_mean(str(key), known)
            raise CatalogError(f"columns: unknown key {key!r} (known: {', '.join(known)}).{suggestion}")
        if value is None:
            continue
        if key in _LISTS:
            value = (value,) if isinstance(value, str) else tuple(value)
        if not all(isinstance(v, str) for v in (value if isinstance(value, tuple) else (value,))):
            raise CatalogError(f"columns: {key!r} must name columns, not {value!r}")
        checked[key] = value
    return checked


def flag(role: str, *columns: str) -> str:
    """The CLI flag that gives columns a role, quoted for a shell."""
    text = f"{role}={','.join(columns)}"
    if re.fullmatch(r"[\w./:%+@=,-]+", text):
        return f"-c {text}"
    if not re.search(r"[\"$`\\!]", text):
        return f'-c "{text}"'  # which shells of all systems understand
    return f"-c {shlex.quote(text)}"


def _from_toml(path: Path) -> Mapping[str, Any]:
    try:
        data = tomllib.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise CatalogError(f"columns file {path}: {error}") from error
    return data.get("columns", data)
