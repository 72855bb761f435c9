"""Images to pixels."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from aisle.data import ImageRef
from aisle.models.preprocessing.base import Prepared, hash_of, take_rows, write_settings

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIZE = 4096  # pixels per side: 50 MB an image
Crop = Callable[["Image", int], "Image"]  # an image to a square of `size` pixels per side


def _center_crop(image: "Image", size: int) -> "Image":
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


class ImagePreprocessor:
    """Images to pixels: decoded, resized to cover a square, and cropped at the center.

    Prepared arrays: `pixels` (B, P, 3, size, size) uint8, and `shown` (B, P) bool, which slots hold an image;
    P is the most images of a product in the batch. A product without a readable image counts as having none,
    with a problem.

    Args:
        size: width and height in pixels.
        images: the most images read of a product.

    Raises:
        ValueError: `size` is out of range.
    """

    def __init__(self, size: int = 64, images: int = 1) -> None:
        if not 0 < size <= MAX_SIZE:
            raise ValueError(f"size {size} is not between 1 and {MAX_SIZE:,} pixels")
        self.size, self.images = size, images

    def fit(self, values: Iterable[Any]) -> None:
        """Nothing to learn."""

    def __call__(
        self, values: Sequence[Sequence[ImageRef] | None], crops: Sequence[Crop] | None = None
    ) -> Prepared:
        """Prepare the images of B products.

        Args:
            values: B tuples of images, None where there are none.
            crops: (B,) how to crop the images of each product, at the center by default.
        """
        width = min(self.images, max((len(v) for v in values if v), default=1))
        pixels = np.zeros((len(values), width, 3, self.size, self.size), dtype=np.uint8)
        shown = np.zeros((len(values), width), dtype=bool)
        problems: dict[int, str] = {}
        for i, refs in enumerate(values):
            for ref in (refs or ())[: self.images]:
                image, problem = read_pixels(ref, self.size, crops[i] if crops else _center_crop)
                if image is None:
                    message = f"image {ref}: {problem}"
                    problems[i] = f"{problems[i]}; {message}" if i in problems else message
                    continue
                slot = int(shown[i].sum())
                pixels[i, slot], shown[i, slot] = image, True
        return Prepared({"pixels": pixels, "shown": shown}, np.asarray(shown.any(1)), problems)

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of some rows."""
        return take_rows(arrays, rows)

    def save(self, folder: Path) -> None:
        """Write `preprocessor.json`."""
        write_settings(folder, {"size": self.size, "images": self.images})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads((folder / "preprocessor.json").read_text()))

    @property
    def fingerprint(self) -> str:
        """A hash of the arguments."""
        return hash_of("pictures", self.size, self.images)


def read_pixels(ref: ImageRef, size: int, crop: Crop = _center_crop) -> tuple[np.ndarray | None, str]:
    """Decode one image.

    Args:
        ref: the image.
        size: width and height in pixels.
        crop: how to make a square of it.

    Returns:
        (3, size, size) uint8, or None and a message.
    """
    from aisle.data.images import NOT_NOW, ImageError, decode

    try:
        image = decode(ref, size)
        return np.asarray(crop(image, size), dtype=np.uint8).transpose(2, 0, 1), ""
    except ImageError as error:
        return None, str(error)
    except MemoryError:
        return None, f"image {NOT_NOW}: out of memory"
