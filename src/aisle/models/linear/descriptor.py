"""Image descriptor without a network: colours by position and histograms of gradients."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from aisle.data import ImageRef
from aisle.models.preprocessing.base import Prepared, hash_of, take_rows, write_settings
from aisle.models.preprocessing.images import read_pixels

_CELLS = 4  # the image is split into 4 x 4 cells
_DIRECTIONS = 8  # bins of gradient directions (HOG: Dalal & Triggs, CVPR 2005)
_LEVELS = 4  # bins of red, of green and of blue in the colour histogram


class ImageDescriptor:
    """Colour mean and deviation per cell, a colour histogram, and gradient histograms per cell.

    Prepared arrays: `vector` (B, D) float32. An image that cannot be read counts as missing, with a problem.

    Args:
        size: images are resized to this width and height, in pixels.
    """

    def __init__(self, size: int = 64) -> None:
        self.size = size

    def fit(self, values: Iterable[Sequence[ImageRef] | None]) -> None:
        """Nothing to learn."""

    def __call__(self, values: Sequence[Sequence[ImageRef] | None]) -> Prepared:
        """Describe the first image of each of B products."""
        out = np.zeros((len(values), self.dim), np.float32)
        present = np.zeros(len(values), bool)
        problems: dict[int, str] = {}
        for i, refs in enumerate(values):
            if not refs:
                continue
            pixels, problem = read_pixels(refs[0], self.size)
            if pixels is None:
                problems[i] = f"image {refs[0]}: {problem}"
                continue
            out[i], present[i] = describe(pixels), True
        return Prepared({"vector": out}, present, problems)

    @property
    def dim(self) -> int:
        """D, the width of the vectors."""
        return 6 * _CELLS**2 + _LEVELS**3 + _DIRECTIONS * _CELLS**2

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of some rows."""
        return take_rows(arrays, rows)

    def save(self, folder: Path) -> None:
        """Write `preprocessor.json`."""
        write_settings(folder, {"size": self.size})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads((folder / "preprocessor.json").read_text()))

    @property
    def fingerprint(self) -> str:
        """A hash of the size."""
        return hash_of("descriptor", self.size)


def describe(pixels: np.ndarray) -> np.ndarray:
    """Describe one image.

    Args:
        pixels: (3, S, S) uint8.

    Returns:
        (D,) float32: three parts, each of length 1.
    """
    x = pixels.astype(np.float32) / 255
    side = x.shape[1] // _CELLS * _CELLS
    cells = x[:, :side, :side].reshape(3, _CELLS, side // _CELLS, _CELLS, side // _CELLS)
    grid = np.concatenate([cells.mean((2, 4)).ravel() - 0.5, cells.std((2, 4)).ravel()])
    level = np.minimum((x * _LEVELS).astype(int), _LEVELS - 1)
    colour = (level[0] * _LEVELS + level[1]) * _LEVELS + level[2]
    colours = np.sqrt(np.bincount(colour.ravel(), minlength=_LEVELS**3).astype(np.float32))
    grey = x.mean(0)
    dy, dx = np.gradient(grey)
    strength = np.hypot(dx, dy)[:side, :side]
    angle = np.arctan2(dy, dx)[:side, :side] % np.pi
    direction = np.minimum((angle / np.pi * _DIRECTIONS).astype(int), _DIRECTIONS - 1)
    row, column = np.indices(direction.shape) * _CELLS // side
    bins = (row * _CELLS + column) * _DIRECTIONS + direction
    edges = np.sqrt(np.bincount(bins.ravel(), strength.ravel(), _DIRECTIONS * _CELLS**2).astype(np.float32))
    parts = [grid, colours, edges]
    return np.concatenate([p / max(float(np.linalg.norm(p)), 1e-6) for p in parts]).astype(np.float32)
