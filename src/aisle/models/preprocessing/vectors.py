"""Precomputed vectors."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from aisle.models.preprocessing.base import Prepared, hash_of, take_rows, write_settings


class VectorPreprocessor:
    """Precomputed vectors, unchanged.

    Prepared arrays: `vector` (B, D) float32.

    Args:
        dim: D; `fit` sets it.
    """

    def __init__(self, dim: int = 0) -> None:
        self.dim = dim

    def fit(self, values: Iterable[np.ndarray | None]) -> None:
        """Set D to the width of the first vector."""
        self.dim = next((len(v) for v in values if v is not None), self.dim)

    def __call__(self, values: Sequence[np.ndarray | None]) -> Prepared:
        """Prepare B vectors; one of another width or not finite counts as missing, with a problem."""
        out = np.zeros((len(values), self.dim), dtype=np.float32)
        present = np.zeros(len(values), dtype=bool)
        problems: dict[int, str] = {}
        for i, value in enumerate(values):
            if value is None:
                continue
            if np.shape(value) != (self.dim,) or not np.isfinite(value).all():
                problems[i] = f"vector of shape {np.shape(value)} is not ({self.dim},) finite numbers"
                continue
            out[i], present[i] = value, True
        return Prepared({"vector": out}, present, problems)

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of some rows."""
        return take_rows(arrays, rows)

    def save(self, folder: Path) -> None:
        """Write `preprocessor.json`."""
        write_settings(folder, {"dim": self.dim})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads((folder / "preprocessor.json").read_text()))

    @property
    def fingerprint(self) -> str:
        """A hash of D."""
        return hash_of("vectors", self.dim)
