"""Exceptions of Aisle, all derived from `AisleError`.

A message says on one line what is wrong, where, and what to do.
"""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class AisleError(Exception):
    """An error that the user can correct; the message says how. The CLI prints it without a traceback."""


class CatalogError(AisleError):
    """A file cannot be read as a catalog."""


class SourceTypeError(CatalogError, TypeError):
    """An object of a type that no catalog is read from."""


class TaxonomyError(AisleError):
    """A category tree is malformed, or a label is not in it."""


class RecipeError(AisleError):
    """A recipe has an unknown key, part or value."""


class BundleError(AisleError):
    """A saved model is missing, truncated, edited or from a newer version."""


class SearchError(AisleError):
    """An index is missing, damaged, in use or of another model; or a query or filter is invalid."""


class MissingModelError(AisleError):
    """Pretrained weights are not on this machine and cannot be downloaded."""


class MissingExtraError(AisleError):
    """An optional package is not installed, or is broken."""


def extra(module: str, name: str, what: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: The module to import.
        name: The extra of Aisle that installs it.
        what: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        raise MissingExtraError(f"{what} needs {missing}: pip install 'aisle[{name}]'") from None
    except Exception as error:  # incompatible builds fail in many ways
        raise MissingExtraError(
            f"{what} needs {module}, which is installed but cannot be imported ({first_line(error)})"
        ) from error


def first_line(error: Exception) -> str:
    """Type and first line of another library's exception, at most 160 characters of it."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """` Did you mean 'x'?` (with a leading space) for the most similar choice, or an empty string.

    Args:
        word: What the user wrote.
        choices: What is allowed.
    """
    similar = difflib.get_close_matches(word, list(choices), 1)
    return f" Did you mean {similar[0]!r}?" if similar else ""
