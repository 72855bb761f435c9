"""The one protocol that a network, its ONNX twin, an ensemble and a cascade all keep."""

from collections.abc import Collection, Iterable
from typing import Protocol

from aisle.catalog import Product
from aisle.taxonomy import Scores, Taxonomy


class Classifier(Protocol):
    """Whatever turns products into log-probabilities over a tree."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree that answers are about."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views it reads (`title`, `image`, …)."""
        ...

    @property
    def model_id(self) -> str:
        """Names these very weights in every prediction."""
        ...

    def score(self, products: Iterable[Product], without: Collection[str] = ()) -> Scores:
        """(B, N) log-probabilities, one row a product, in order.

        without: views treated as absent in every product, to measure what each one tells.
        """
        ...
