"""The exceptions Aisle raises on purpose: one tree, so that `except AisleError` catches them all.

A message says what, where, and what next, on one line.
"""

import difflib
from collections.abc import Iterable


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


class MissingModelError(AisleError):
    """Pretrained weights are not on this machine and cannot be fetched."""


def did_you_mean(word: str, choices: Iterable[str], cutoff: float = 0.6) -> str:
    """` Did you mean 'x'?` (with a leading space) for the nearest of `choices`, or an empty string."""
    near = difflib.get_close_matches(word, list(choices), 1, cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
