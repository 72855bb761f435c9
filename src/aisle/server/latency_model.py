"""How long products take to answer, learned from the batches just answered."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import nnls

from aisle.data import Product

REMEMBERED = 64  # batches: a model that was swapped is forgotten soon


class Load(NamedTuple):
    """What there is to answer: products, and pictures in all of them."""

    products: int = 0
    pictures: int = 0

    @classmethod
    def of(cls, products: Sequence[Product]) -> Self:
        """Of these products."""
        return cls(len(products), sum(len(product.images) for product in products))

    def plus(self, other: "Load", sign: int = 1) -> "Load":
        """Both together; sign -1: without the other."""
        return Load(self.products + sign * other.products, self.pictures + sign * other.pictures)


class Pace:
    """Seconds = so many a batch + so many a product + so many a picture, none of them negative: least
    squares over the latest batches (Lawson and Hanson 1974). Before the first batch it expects nothing.

    size: products in a full batch.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows: deque[tuple[float, float, float, float]] = deque(maxlen=REMEMBERED)
        self._costs: tuple[float, float, float] | None = None

    def saw(self, load: Load, seconds: float) -> None:
        """A batch took so long."""
        self._rows.append((1.0, float(load.products), float(load.pictures), seconds))
        self._costs = None

    def costs(self) -> tuple[float, float, float]:
        """Seconds of a batch, of a product, of a picture."""
        if not self._rows:
            return 0.0, 0.0, 0.0
        if self._costs is None:
            rows = np.array(self._rows)
            batch, product, picture = nnls(rows[:, :3], rows[:, 3])[0].tolist()
            self._costs = batch, product, picture
        return self._costs

    def seconds(self, load: Load) -> float:
        """Expected for this load, in full batches."""
        batch, product, picture = self.costs()
        return batch * load.products / self.size + product * load.products + picture * load.pictures
