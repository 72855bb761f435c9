"""Turns a view's values into arrays: torch-free, saved with the model, used by networks and exported models.

A preprocessor is called with one value a product (None where the view is absent) and returns
`Prepared`. It is learned once (`fit`), then frozen; `save` and `load` use JSON and safetensors only.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np


class Prepared(NamedTuple):
    """One view's arrays for B products: `arrays` by name, `present` (B,) bool, `problems` {row: what}.

    Rows of absent products hold zeros; nothing reads them.
    """

    arrays: dict[str, np.ndarray]
    present: np.ndarray
    problems: dict[int, str]


class Preprocessor(Protocol):
    """What turns one view's values into arrays."""

    def fit(self, values: Iterable[Any]) -> None:
        """Learn a vocabulary, if there is one to learn."""
        ...

    def __call__(self, values: Sequence[Any]) -> Prepared:
        """B values in, arrays of B rows out."""
        ...

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of some of the products that `arrays` was made of."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything `load` needs."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what `save` wrote."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for equal preprocessing: part of the key under which frozen features are kept."""
        ...


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write the constructor's arguments as `preprocessor.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocessor.json").write_text(json.dumps(settings, ensure_ascii=False))


def hash_of(*parts: Any) -> str:
    """Sixteen hex digits that change when any part does."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode()).hexdigest()[:16]


def take_rows(arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays whose first axis is the product, reduced to some of them."""
    return {name: array[rows] for name, array in arrays.items()}
