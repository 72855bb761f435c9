"""How a catalog is written: which column holds what, and what parts its levels, categories and cells.

A run and its model keep it as `catalog.json`, so that later files of the same shop are read in the same way.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aisle.data.columns import Columns, parse_columns
from aisle.errors import CatalogError

FILE = "catalog.json"
_SEPARATORS = ("delimiter", "separator", "image_separator", "date_format")


class Roles(NamedTuple):
    """What the columns of another file hold: `given` by role, as the user might have said it; `fields`, the
    columns that stay fields whatever their names are."""

    given: dict[str, Any]
    fields: frozenset[str]


@dataclass(frozen=True)
class CatalogFormat:
    """How one catalog is written.

    given: the roles that the user named, `""` where no column has it. columns: every role as it was found,
    with the separators of levels, categories and images. delimiter, encoding: of its text files.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None

    def roles(self, names: Iterable[str], given: Mapping[str, Any]) -> Roles:
        """The roles of another file's columns.

        Args:
            names: the file's columns. A role whose column is not among them is left to be found by name.
            given: what the user says of this file, which goes before.
        """
        there = set(names)
        closed = {key: value for key, value in self.given.items() if value in ("", ("",))}
        found = {**closed, **{key: held for key, held in self._held(there) if key not in given}}
        if "category" in given or "levels" in given:  # the two exclude each other
            for key in ("category", "levels", "delimiter", "separator"):
                found.pop(key, None)
        taken = {column for key, value in given.items() for column in _columns_of(key, value)}
        found = {key: value for key, value in found.items() if not taken & _columns_of(key, value)}
        if not {"category", "levels"} & found.keys():
            for key in ("delimiter", "separator"):
                if key not in self.given:
                    found.pop(key, None)
        if "images" not in found and "image_separator" not in self.given:
            found.pop("image_separator", None)
        kept = frozenset(self.columns.get("fields", ())) & there - taken
        return Roles({key: value for key, value in found.items() if key not in given}, kept)

    def _held(self, there: set[str]) -> Iterable[tuple[str, Any]]:
        """Roles whose columns are there; of lists that may be shorter, the columns that are."""
        for key, value in self.columns.items():
            if key == "fields" and key not in self.given:
                continue
            if key in ("images", "ignored", "vectors", "fields"):
                value = tuple(column for column in value if column in there)
            if value and _columns_of(key, value) <= there:
                yield key, tuple(value) if isinstance(value, list) else value

    def as_given(self) -> "CatalogFormat":
        """Only what the user said of the columns: the rest is found anew."""
        return CatalogFormat(self.given, self.given, self.delimiter, self.encoding)

    @property
    def named(self) -> list[str]:
        """The columns that have a role, each once."""
        columns = [c for key, value in self.columns.items() for c in sorted(_columns_of(key, value))]
        return list(dict.fromkeys(columns))

    def to_json(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "CatalogFormat":
        """Read what `to_json` wrote.

        Raises:
            CatalogError: it is something else.
        """
        try:
            data = json.loads(text)
            given, columns = (parse_columns(data[key]) for key in ("given", "columns"))
            marks = [data["delimiter"], data["encoding"]]
            if not all(mark is None or isinstance(mark, str) for mark in marks):
                raise TypeError("delimiter and encoding are text")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CatalogError(f"{FILE} does not say how a catalog is written: {error}") from error
        return cls(given, columns, *marks)

    @classmethod
    def load(cls, folder: Path) -> "CatalogFormat | None":
        """What a folder keeps; None where it keeps none.

        Raises:
            CatalogError: the file is damaged.
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


def resolved(
    columns: Columns, style: Any | None, official: bool, image_separator: str | None
) -> dict[str, Any]:
    """Every role of a catalog that was read, with the separators that were found.

    Args:
        columns: its columns.
        style: how its labels are written; None where it has none.
        official: whether the tree was given; then flat labels may be ids, which says nothing of other files.
        image_separator: what parts several images in one cell.
    """
    found = columns.to_dict()
    found.pop("vectors", None)
    if style is not None and columns.category is not None and columns.delimiter is None:
        if style.delimiter is not None:
            found["delimiter"] = f" {style.delimiter} " if style.spaced else style.delimiter
        elif not official:
            found["delimiter"] = ""
    if image_separator is not None:
        found["image_separator"] = image_separator
    return found


def format_of(like: Any) -> CatalogFormat | None:
    """How the catalog of a model, or another catalog, is written.

    Args:
        like: a model, a catalog, a `CatalogFormat`, or None.

    Raises:
        CatalogError: it is none of these.
    """
    if like is None or isinstance(like, CatalogFormat):
        return like
    try:
        return like.catalog_format
    except AttributeError:
        kind = type(like).__name__
        raise CatalogError(f"like: a model or a catalog is needed, not {kind}; see `aisle.load`") from None
