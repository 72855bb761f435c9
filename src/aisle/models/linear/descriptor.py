"""Image descriptor without a network: colours by position and histograms of gradients."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from aisle.data import ImageRef
from aisle.models.preprocessing.base import Prepared, hash_of, take_rows, write_settings
from aisle.models.preprocessing.images import read_pixels

_CELLS = 4  # cells a side, for colours and for edges
_BINS = 8  # directions of edges (HOG: Dalal & Triggs, CVPR 2005)
_COLOURS = 4  # levels of red, green and blue in the histogram of the whole image


class ImageDescriptor:
    """Mean and deviation of colour in a grid of cells, a histogram of colours, and histograms of gradients.

    Arrays: `vector` (B, D) float32. An image that cannot be read counts as missing, with a problem.
    """

    def __init__(self, size: int = 64) -> None:
        self.size = size

    def fit(self, values: Iterable[Sequence[ImageRef] | None]) -> None:
        """Nothing to learn."""

    def __call__(self, values: Sequence[Sequence[ImageRef] | None]) -> Prepared:
        """B tuples of images in; the first of each is read."""
        out = np.zeros((len(values), self.dim), np.float32)
        present = np.zeros(len(values), bool)
        problems: dict[int, str] = {}
        for i, refs in enumerate(values):
            if not refs:
                continue
            pixels, problem = read_pixels(refs[0], self.size)
            if pixels is None:
                problems[i] = f"picture {refs[0]}: {problem}"
                continue
            out[i], present[i] = describe(pixels), True
        return Prepared({"vector": out}, present, problems)

    @property
    def dim(self) -> int:
        """D."""
        return 6 * _CELLS**2 + _COLOURS**3 + _BINS * _CELLS**2

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """Some products' arrays."""
        return take_rows(arrays, rows)

    def save(self, folder: Path) -> None:
        """`preprocessor.json`."""
        write_settings(folder, {"size": self.size})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what `save` wrote."""
        return cls(**json.loads((folder / "preprocessor.json").read_text()))

    @property
    def fingerprint(self) -> str:
        """A hash of the size."""
        return hash_of("descriptor", self.size)


def describe(pixels: np.ndarray) -> np.ndarray:
    """(3, S, S) uint8 -> (D,): three parts of length 1 each."""
    x = pixels.astype(np.float32) / 255
    side = x.shape[1] // _CELLS * _CELLS
    cells = x[:, :side, :side].reshape(3, _CELLS, side // _CELLS, _CELLS, side // _CELLS)
    grid = np.concatenate([cells.mean((2, 4)).ravel() - 0.5, cells.std((2, 4)).ravel()])
    level = np.minimum((x * _COLOURS).astype(int), _COLOURS - 1)
    number = (level[0] * _COLOURS + level[1]) * _COLOURS + level[2]
    colours = np.sqrt(np.bincount(number.ravel(), minlength=_COLOURS**3).astype(np.float32))
    grey = x.mean(0)
    dy, dx = np.gradient(grey)
    strength = np.hypot(dx, dy)[:side, :side]
    turn = np.arctan2(dy, dx)[:side, :side] % np.pi
    direction = np.minimum((turn / np.pi * _BINS).astype(int), _BINS - 1)
    row, column = np.indices(direction.shape) * _CELLS // side
    cell = (row * _CELLS + column) * _BINS + direction
    edges = np.sqrt(np.bincount(cell.ravel(), strength.ravel(), _BINS * _CELLS**2).astype(np.float32))
    parts = [grid, colours, edges]
    return np.concatenate([p / max(float(np.linalg.norm(p)), 1e-6) for p in parts]).astype(np.float32)
