"""The interface of preprocessors, which turn the values of a view into arrays.

A preprocessor is called with one value per product (None where the view is missing) and returns `Prepared`.
It is fitted once; `save` and `load` use JSON and safetensors only.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np


class Prepared(NamedTuple):
    """One prepared view of B products.

    Attributes:
        arrays: by name; rows of missing views hold zeros, and are not read.
        present: (B,) bool.
        problems: messages by row.
    """

    arrays: dict[str, np.ndarray]
    present: np.ndarray
    problems: dict[int, str]


class Preprocessor(Protocol):
    """Turns the values of one view into arrays."""

    def fit(self, values: Iterable[Any]) -> None:
        """Learn a vocabulary from values, None where the view is missing; other preprocessors do nothing."""
        ...

    def __call__(self, values: Sequence[Any]) -> Prepared:
        """Prepare B values, None where the view is missing."""
        ...

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of some rows."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything that `load` needs to a folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash that is equal for equal preprocessing; part of the namespace in the feature store."""
        ...


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write the constructor's arguments as `preprocessor.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocessor.json").write_text(json.dumps(settings, ensure_ascii=False))


def hash_of(*parts: Any) -> str:
    """16 hex digits: a hash of the parts, which must be serialisable as JSON."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode()).hexdigest()[:16]


def take_rows(arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Some rows of arrays whose first axis is the product."""
    return {name: array[rows] for name, array in arrays.items()}
