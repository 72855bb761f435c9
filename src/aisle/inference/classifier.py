"""The protocol of everything that classifies: networks, linear and exported models, ensembles, cascades."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from aisle.data import Product
from aisle.guarantee import Confidences, Policy
from aisle.taxonomy import Scores, Taxonomy


class Classifier(Protocol):
    """Protocol of classifiers: products to log-probabilities over a tree."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The category tree."""
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


def confidences(
    classifier: Classifier, products: Sequence[Product], without: Collection[str] = ()
) -> Confidences:
    """The confidences in every category: calibrated, or the probabilities of a classifier without policy."""
    method = getattr(classifier, "confidences", None)
    if method is not None:
        return method(products, without)
    policy = getattr(classifier, "policy", None)
    policy = policy if isinstance(policy, Policy) else Policy()
    nearest = getattr(classifier, "nearest", None) if policy.uses_neighbors else None
    scores = classifier.score(products, without=without)
    return policy.confidences(scores, None if nearest is None else nearest(products))
