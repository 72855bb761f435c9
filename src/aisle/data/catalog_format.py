"""The format of a catalog: column roles, and the separators of levels, categories and fields.

A run and its model keep it as `catalog.json`, so that later files of the same shop are read in the same way.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from aisle.data.columns import Columns, parse_columns
from aisle.data.dialects import Dialect
from aisle.data.dialects.detection import dialect_from_dict
from aisle.errors import CatalogError

FILE = "catalog.json"
_SEPARATORS = ("delimiter", "separator", "image_separator", "date_format")


class Roles(NamedTuple):
    """The roles of another file's columns.

    Attributes:
        given: Columns by role, as if the user had stated them.
        fields: The columns that stay fields whatever their names are.
    """

    given: dict[str, Any]
    fields: frozenset[str]


@dataclass(frozen=True)
class CatalogFormat:
    """The format of one catalog.

    Attributes:
        given: The roles that the user stated; `""` states that no column has the role.
        columns: All roles, stated and detected, with the separators of levels, categories and images.
        delimiter: The field delimiter of its CSV files.
        encoding: The encoding of its text files.
        dialect: The dialect of a shop export: the name of one that comes with Aisle, the user's own, or
            `none` if the user asked for none.
        category_cells: Cells of the category column as the file has them, by which a file that has none is
            filled.
        category_codes: Code -> path of names, where a file gave codes of categories their names.
        category_objects: Name -> the JSON object by which the file wrote the category.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None
    dialect: str | Dialect | None = None
    category_cells: tuple[str, ...] = ()
    category_codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    category_objects: Mapping[str, Any] = field(default_factory=dict)

    def roles(self, names: Iterable[str], given: Mapping[str, Any]) -> Roles:
        """The roles of another file's columns.

        Args:
            names: The columns of the file. A role whose column is not among them is found by name.
            given: The roles that the user states for this file, which take precedence.
        """
        existing = set(names)
        absent = {key: value for key, value in self.given.items() if value in ("", ("",))}
        roles = {
            **absent,
            **{key: value for key, value in self._existing_roles(existing) if key not in given},
        }
        if "category" in given or "levels" in given:  # only one of the two
            for key in ("category", "levels", "delimiter", "separator"):
                roles.pop(key, None)
        used = {column for key, value in given.items() for column in _columns_of(key, value)}
        roles = {key: value for key, value in roles.items() if not used & _columns_of(key, value)}
        if not {"category", "levels"} & roles.keys():
            for key in ("delimiter", "separator"):
                if key not in self.given:
                    roles.pop(key, None)
        if "images" not in roles and "image_separator" not in self.given:
            roles.pop("image_separator", None)
        fields = frozenset(self.columns.get("fields", ())) & existing - used
        return Roles({key: value for key, value in roles.items() if key not in given}, fields)

    def _existing_roles(self, existing: set[str]) -> Iterable[tuple[str, Any]]:
        """(role, value) of the roles whose columns exist; lists keep the columns that exist."""
        for key, value in self.columns.items():
            if key == "fields" and key not in self.given:
                continue
            if key in ("images", "ignored", "vectors", "fields"):
                value = tuple(column for column in value if column in existing)
            if value and _columns_of(key, value) <= existing:
                yield key, tuple(value) if isinstance(value, list) else value

    def as_given(self) -> "CatalogFormat":
        """The format with the stated roles only; the others are detected again."""
        return CatalogFormat(self.given, self.given, self.delimiter, self.encoding, self.dialect)

    @property
    def named(self) -> list[str]:
        """The columns that have a role, each once."""
        columns = [c for key, value in self.columns.items() for c in sorted(_columns_of(key, value))]
        return list(dict.fromkeys(columns))

    def to_json(self) -> str:
        """The format as JSON."""
        data = {part.name: getattr(self, part.name) for part in fields(self)}
        if isinstance(self.dialect, Dialect):
            data["dialect"] = self.dialect.model_dump(exclude_defaults=True)
        return json.dumps(data, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "CatalogFormat":
        """Read the output of `to_json`.

        Raises:
            CatalogError: The text is something else.
        """
        try:
            data = json.loads(text)
            given, columns = (parse_columns(data[key]) for key in ("given", "columns"))
            delimiter, encoding = data["delimiter"], data["encoding"]
            if not all(text is None or isinstance(text, str) for text in (delimiter, encoding)):
                raise TypeError("delimiter and encoding are text")
            cells = tuple(map(str, data.get("category_cells", ())))
            codes = {str(code): tuple(path) for code, path in data.get("category_codes", {}).items()}
            objects = dict(data.get("category_objects", {}))
            dialect = data.get("dialect")
            if dialect is not None and not isinstance(dialect, str):
                dialect = dialect_from_dict(dialect, "dialect")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, CatalogError) as error:
            raise CatalogError(f"{FILE} does not say how a catalog is written: {error}") from error
        return cls(given, columns, delimiter, encoding, dialect, cells, codes, objects)

    @classmethod
    def load(cls, folder: Path) -> "CatalogFormat | None":
        """The format in a folder; None if it has no `catalog.json`.

        Raises:
            CatalogError: The file is damaged.
        """
        try:
            return cls.from_json((folder / FILE).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeError) as error:
            raise CatalogError(f"{folder / FILE}: cannot be read: {error}") from error

    def save(self, folder: Path) -> None:
        """Write `catalog.json`."""
        (folder / FILE).write_text(self.to_json(), "utf-8")


def _columns_of(key: str, value: Any) -> set[str]:
    """The columns that a role names."""
    if key in _SEPARATORS:
        return set()
    if key == "image_template":
        return set(re.findall(r"{([^{}]*)}", value))
    return {column for column in ([value] if isinstance(value, str) else value) if column}


def resolved_roles(
    columns: Columns, style: Any | None, official: bool, image_separator: str | None
) -> dict[str, Any]:
    """All roles of a catalog, with the detected separators.

    Args:
        columns: Its columns.
        style: The style of its labels; None without labels.
        official: Whether the tree was given; then flat labels may be ids.
        image_separator: Separates several images in one cell.
    """
    roles = columns.to_dict()
    roles.pop("vectors", None)
    if style is not None and columns.category is not None and columns.delimiter is None:
        if style.delimiter is not None:
            roles["delimiter"] = f" {style.delimiter} " if style.spaced else style.delimiter
        elif not official:
            roles["delimiter"] = ""
    if image_separator is not None:
        roles["image_separator"] = image_separator
    return roles


def without_separators(roles: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The roles without separators that the user did not set; a shop export has those of its dialect."""
    return {key: value for key, value in roles.items() if key not in _SEPARATORS[:3] or key in given}


def format_of(like: Any) -> CatalogFormat | None:
    """The format of a catalog, or of the catalog that a model was trained on.

    Args:
        like: A model, a catalog, a `CatalogFormat`, or None.

    Raises:
        CatalogError: `like` is none of these.
    """
    if like is None or isinstance(like, CatalogFormat):
        return like
    try:
        return like.catalog_format
    except AttributeError:
        kind = type(like).__name__
        raise CatalogError(f"like: a model or a catalog is needed, not {kind}; see `aisle.load`") from None
