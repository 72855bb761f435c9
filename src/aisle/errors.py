"""The exceptions Aisle raises on purpose: one tree, so that `except AisleError` catches them all.

A message says what, where, and what next, on one line.
"""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class AisleError(Exception):
    """Anything a user can mend: the message says how. The command line prints it without a traceback."""


class CatalogError(AisleError):
    """A file cannot be read as a catalogue."""


class TaxonomyError(AisleError):
    """A category tree is malformed, or a label is not in it."""


class RecipeError(AisleError):
    """A recipe names an unknown key, part or value."""


class BundleError(AisleError):
    """A saved model is missing, truncated, edited or from a newer version."""


class SearchError(AisleError):
    """An index is missing, damaged, in use or another model's; or a query or filter cannot be answered."""


class MissingModelError(AisleError):
    """Pretrained weights are not on this machine and cannot be fetched."""


class MissingExtraError(AisleError):
    """An optional package is not installed, or is broken."""


def extra(module: str, name: str, what: str) -> ModuleType:
    """Import an optional package. name: the extra that brings it; what: what needs it.

    Raises:
        MissingExtraError: it is not installed, or something it needs is broken.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        raise MissingExtraError(f"{what} needs {missing}: pip install 'aisle[{name}]'") from None
    except Exception as error:  # a package beside another build of what it links to fails in many ways
        raise MissingExtraError(
            f"{what} needs {module}, which is installed but cannot be imported ({first_line(error)})"
        ) from error


def first_line(error: Exception) -> str:
    """What another library's exception says, short enough for a line of ours."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0][:160]}" if said else type(error).__name__


def did_you_mean(word: str, choices: Iterable[str], cutoff: float = 0.6) -> str:
    """` Did you mean 'x'?` (with a leading space) for the nearest of `choices`, or an empty string."""
    near = difflib.get_close_matches(word, list(choices), 1, cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
