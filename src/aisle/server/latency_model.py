"""Latency model: predicts the duration of a batch from those of earlier batches."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import nnls

from aisle.data import Product

_WINDOW = 64  # batches: after a change of models the old one's times are soon forgotten


class BatchLoad(NamedTuple):
    """The size of some work: products, and images of all of them."""

    products: int = 0
    images: int = 0

    @classmethod
    def of(cls, products: Sequence[Product]) -> Self:
        """The load of these products."""
        return cls(len(products), sum(len(product.images) for product in products))

    def plus(self, other: "BatchLoad", sign: int = 1) -> "BatchLoad":
        """The sum of two loads; the difference for `sign=-1`."""
        return BatchLoad(self.products + sign * other.products, self.images + sign * other.images)


class LatencyModel:
    """Seconds as a non-negative linear function of batches, products and images.

    Fitted by non-negative least squares (Lawson and Hanson 1974). Before the first batch it predicts 0.

    Args:
        size: Products in a full batch.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows: deque[tuple[float, float, float, float]] = deque(maxlen=_WINDOW)
        self._costs: tuple[float, float, float] | None = None

    def update(self, load: BatchLoad, seconds: float) -> None:
        """Add one measured batch."""
        self._rows.append((1.0, float(load.products), float(load.images), seconds))
        self._costs = None

    def costs(self) -> tuple[float, float, float]:
        """Seconds per batch, per product and per image."""
        if not self._rows:
            return 0.0, 0.0, 0.0
        if self._costs is None:
            rows = np.array(self._rows)
            batch, product, image = nnls(rows[:, :3], rows[:, 3])[0].tolist()
            self._costs = batch, product, image
        return self._costs

    def seconds(self, load: BatchLoad) -> float:
        """Predicted seconds for a load, processed in full batches."""
        batch, product, image = self.costs()
        return batch * load.products / self.size + product * load.products + image * load.images
