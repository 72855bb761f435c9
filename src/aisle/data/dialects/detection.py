"""Dialects of shop platforms: the files of this package, and a user's own."""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aisle.data.dialects.header import Header
from aisle.data.dialects.schema import DetectRules, Dialect
from aisle.errors import CatalogError, did_you_mean
from aisle.regular_files import read_text

_FOLDER = Path(__file__).with_name("platforms")


def dialect_names() -> list[str]:
    """The names of the dialects that come with Aisle."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def shipped_dialects() -> tuple[Dialect, ...]:
    """The dialects that come with Aisle, by name."""
    return tuple(_from_toml(_FOLDER / f"{name}.toml") for name in dialect_names())


def detect_dialect(names: Iterable[str]) -> Dialect | None:
    """The dialect of a file, by its columns; of several, the one that more of the columns are proof of.

    Args:
        names: The columns.

    Returns:
        The dialect; None if the file is of no known platform.
    """
    header = Header(names)
    best, best_score = None, 0
    for dialect in shipped_dialects():
        score = 0 if dialect.detect is None else proof(dialect.detect, header)
        if score > best_score:
            best, best_score = dialect, score
    return best


def proof(rules: DetectRules, header: Header) -> int:
    """How many of the columns that tell a dialect a header has.

    Args:
        rules: The columns that tell it, and how many of them are enough.
        header: The columns of a file.

    Returns:
        The number; 0 if they are too few, or if the header has a column that the dialect never has.
    """
    n_columns = sum(header.find((one,) if isinstance(one, str) else one) is not None for one in rules.columns)
    also = max((len(names) for names in rules.also if all(header.find((n,)) for n in names)), default=0)
    needed = len(rules.columns) if rules.at_least is None else rules.at_least
    if header.find_all(rules.without):
        return 0
    return max(n_columns if rules.columns and n_columns >= needed else 0, also)


def fits(dialect: Dialect, names: Iterable[str]) -> bool:
    """Whether a file with these columns may be written in a dialect; always, without rules of detection."""
    return dialect.detect is None or proof(dialect.detect, Header(names)) > 0


def load_dialect(dialect: "str | Path | Dialect") -> Dialect:
    """A dialect by its name, or from a TOML file.

    Args:
        dialect: The name of one that comes with Aisle, or the file; a `Dialect` is returned as it is.

    Raises:
        CatalogError: There is none of this name, or the file is no dialect.
    """
    if isinstance(dialect, Dialect):
        return dialect
    if str(dialect) in dialect_names():
        return _from_toml(_FOLDER / f"{dialect}.toml")
    path = Path(dialect)
    if path.suffix.lower() != ".toml":
        known = dialect_names()
        suggestion = did_you_mean(str(dialect), known)
        raise CatalogError(
            f"no format is called {str(dialect)!r}: name a .toml file or one of "
            f"{', '.join(known)}.{suggestion}"
        )
    return _from_toml(path)


def _from_toml(path: Path) -> Dialect:
    try:
        data = tomllib.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise CatalogError(f"format {path}: {error}") from error
    return dialect_from_dict({"name": path.stem, "title": path.stem} | data, f"format {path}")


def dialect_from_dict(data: Any, source: str) -> Dialect:
    """Validate the content of a dialect file.

    Args:
        data: The tables of the file.
        source: Where they come from, for messages.

    Raises:
        CatalogError: The first error, with its key.
    """
    try:
        dialect = Dialect.model_validate(data)
        re.compile(dialect.products.child)
        re.compile((dialect.detect and dialect.detect.header_line) or "")
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise CatalogError(f"{source}: {key or 'the file'}: {message}") from None
    except re.error as error:
        raise CatalogError(f"{source}: not a regular expression: {error}") from None
    return dialect
