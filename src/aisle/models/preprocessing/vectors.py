"""Precomputed vectors."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from aisle.models.preprocessing.base import Prepared, hash_of, take_rows, write_settings


class VectorPreprocessor:
    """Precomputed vectors by name, as they come. Arrays: `vector` (B, D) float32; D is learned by `fit`."""

    def __init__(self, dim: int = 0) -> None:
        self.dim = dim

    def fit(self, values: Iterable[np.ndarray | None]) -> None:
        """Learn D from the first vector there is."""
        self.dim = next((len(v) for v in values if v is not None), self.dim)

    def __call__(self, values: Sequence[np.ndarray | None]) -> Prepared:
        """B vectors in; one of another width counts as absent, and says so."""
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
        """Some products' arrays."""
        return take_rows(arrays, rows)

    def save(self, folder: Path) -> None:
        """`preprocessor.json`."""
        write_settings(folder, {"dim": self.dim})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what `save` wrote."""
        return cls(**json.loads((folder / "preprocessor.json").read_text()))

    @property
    def fingerprint(self) -> str:
        """A hash of the width."""
        return hash_of("vectors", self.dim)
