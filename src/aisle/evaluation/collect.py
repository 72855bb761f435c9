"""Collects the top predictions of a classifier, chunk by chunk.

Memory grows with products × levels, not with products × categories.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from aisle.data import Catalog, Product
from aisle.evaluation.trees import extend_scores
from aisle.guarantee import Prediction
from aisle.metrics import Truth, level_ranks
from aisle.progress import Advance
from aisle.taxonomy import Scores

CHUNK = 256
GUESSES = 5

ScoreFn = Callable[[list[Product]], Scores]


@dataclass(frozen=True)
class TopPredictions:
    """The top predictions for B products, over a tree of L levels.

    Attributes:
        top: (B, 5) the most probable terminals, best first; -1 if no more have any probability.
        logp: (B, 5) their log-probabilities.
        lineage: (B, L) log-probability of each level of the best path; NaN below its end.
        nll: (B,) negative log-likelihood of the label.
        level_rank: (B, L) as in `aisle.metrics.level_ranks`.
        level_nll: (B, L) as in `aisle.metrics.level_ranks`.
    """

    top: np.ndarray
    logp: np.ndarray
    lineage: np.ndarray
    nll: np.ndarray
    level_rank: np.ndarray
    level_nll: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """(B,) the predicted terminals."""
        return self.top[:, 0]


def collect(
    score: ScoreFn, products: Sequence[Product], rows: np.ndarray, truth: Truth, advance: Advance
) -> TopPredictions:
    """Collect the top predictions for the products at `rows`.

    Args:
        score: Scores products.
        products: The catalog.
        rows: (B,) positions of the products.
        truth: Their acceptable categories, in the same order.
        advance: Called with the size of each chunk.
    """
    parts: list[TopPredictions] = []
    start = 0
    for chunk in product_batches(products, rows):
        scores = extend_scores(score(chunk), truth.taxonomy)
        parts.append(_top_of(scores, truth[start : start + len(chunk)]))
        start += len(chunk)
        advance(len(chunk))
    return TopPredictions(
        *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(TopPredictions))
    )


def _top_of(scores: Scores, truth: Truth) -> TopPredictions:
    top = scores.topk(GUESSES)
    levels = [level_ranks(scores, truth, depth) for depth in range(1, truth.taxonomy.depth + 1)]
    return TopPredictions(
        top=np.where(np.isfinite(top.logp), top.node, -1),
        logp=top.logp,
        lineage=scores.lineage(top.node[:, 0]),
        nll=truth.nll(scores),
        level_rank=np.stack([level.rank for level in levels], 1),
        level_nll=np.stack([level.nll for level in levels], 1),
    )


def decided_products(
    classifier: Any, products: Sequence[Product], rows: np.ndarray, advance: Advance = lambda _: None
) -> list[Prediction]:
    """The predictions, with their decisions, of the products at `rows`.

    A catalog's rows are predicted as such, because rules may name the files that they come from.
    """
    stream = getattr(classifier, "predict_stream", None)
    if stream is not None and isinstance(products, Catalog):
        return list(stream(products.select(rows), advance))
    predictions: list[Prediction] = []
    for part in product_batches(products, rows):
        predictions += classifier.predict(part)
        advance(len(part))
    return predictions


def product_batches(products: Sequence[Product], rows: np.ndarray) -> Iterator[list[Product]]:
    """The products at `rows`, at most `CHUNK` at a time."""
    for start in range(0, len(rows), CHUNK):
        yield [products[int(i)] for i in rows[start : start + CHUNK]]
