"""Pictures to pixels."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from aisle.data import ImageRef
from aisle.models.preprocessing.base import Prepared, hash_of, take_rows, write_settings

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 4096  # a side: of more, one picture takes 50 MB
Vary = Callable[["Image", int], "Image"]  # a picture to a square of so many pixels


def _centred(picture: "Image", size: int) -> "Image":
    from PIL import Image, ImageOps

    return ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)


class ImagePreprocessor:
    """Pictures to pixels: decoded, resized to cover a square and cropped at the centre.

    Arrays: `pixels` (B, P, 3, size, size) uint8, `shown` (B, P) bool; P is the most pictures any product
    of the batch has. A product none of whose pictures can be read counts as having none, and says why.
    """

    def __init__(self, size: int = 64, images: int = 1) -> None:
        if not 0 < size <= MOST_PIXELS:
            raise ValueError(f"size {size} is not between 1 and {MOST_PIXELS:,} pixels")
        self.size, self.images = size, images

    def fit(self, values: Iterable[Any]) -> None:
        """Nothing to learn."""

    def __call__(
        self, values: Sequence[Sequence[ImageRef] | None], vary: Sequence[Vary] | None = None
    ) -> Prepared:
        """B tuples of pictures in. vary: what makes squares of each product's, in place of the centre."""
        width = min(self.images, max((len(v) for v in values if v), default=1))
        pixels = np.zeros((len(values), width, 3, self.size, self.size), dtype=np.uint8)
        shown = np.zeros((len(values), width), dtype=bool)
        problems: dict[int, str] = {}
        for i, refs in enumerate(values):
            for ref in (refs or ())[: self.images]:
                picture, problem = read_pixels(ref, self.size, vary[i] if vary else _centred)
                if picture is None:
                    told = f"picture {ref}: {problem}"
                    problems[i] = f"{problems[i]}; {told}" if i in problems else told
                    continue
                slot = int(shown[i].sum())
                pixels[i, slot], shown[i, slot] = picture, True
        return Prepared({"pixels": pixels, "shown": shown}, np.asarray(shown.any(1)), problems)

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """Some products' arrays."""
        return take_rows(arrays, rows)

    def save(self, folder: Path) -> None:
        """`preprocessor.json`."""
        write_settings(folder, {"size": self.size, "images": self.images})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what `save` wrote."""
        return cls(**json.loads((folder / "preprocessor.json").read_text()))

    @property
    def fingerprint(self) -> str:
        """A hash of size and number."""
        return hash_of("pictures", self.size, self.images)


def read_pixels(ref: ImageRef, size: int, vary: Vary = _centred) -> tuple[np.ndarray | None, str]:
    """(3, size, size) uint8 covering the square, or None and what is wrong with the picture."""
    from aisle.data.images import NOT_NOW, ImageError, decode

    try:
        picture = decode(ref, size)
        return np.asarray(vary(picture, size), dtype=np.uint8).transpose(2, 0, 1), ""
    except ImageError as error:
        return None, str(error)
    except MemoryError:
        return None, f"picture {NOT_NOW}: out of memory"
