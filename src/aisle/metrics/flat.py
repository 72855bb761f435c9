"""Flat metrics: accuracy, F1, top-k."""

from typing import NamedTuple

import numpy as np

from aisle.metrics.truth import MatchedPredictions, Truth
from aisle.taxonomy import Scores


class F1(NamedTuple):
    """`macro` and `weighted` F1, and what they average: for each of C labels `precision`, `recall`,
    `f1` and `support` (C,), in the order of `labels` (C,)."""

    macro: float
    weighted: float
    labels: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def f1_scores(true: np.ndarray, predicted: np.ndarray) -> F1:
    """F1 as scikit-learn averages by default: over every label that occurs among the true *or* the
    predicted ones, a label without a right answer counting 0 (`zero_division=0`).

    true, predicted: (B,) whole numbers from 0, such as nodes. Macro: each label counts alike.
    Weighted: by true support. No product at all gives NaN.
    """
    size = 1 + max(true.max(initial=-1), predicted.max(initial=-1))
    counts = np.stack([np.bincount(x, minlength=size) for x in (true, predicted, true[true == predicted])])
    labels = np.flatnonzero(counts[0] + counts[1])
    support, answered, hit = counts[:, labels]
    f1 = _ratio(2 * hit, support + answered)
    macro = float(f1.mean()) if len(labels) else float("nan")
    weighted = float(f1 @ support / len(true)) if len(labels) else float("nan")
    return F1(macro, weighted, labels, _ratio(hit, answered), _ratio(hit, support), f1, support)


def macro_f1_of_pairs(pairs: np.ndarray) -> float:
    """Macro-F1 of (B, 2) pairs (true, predicted): the form that `paired_bootstrap` resamples."""
    return f1_scores(pairs[:, 0], pairs[:, 1]).macro


def accuracy(judged: MatchedPredictions) -> float:
    """Share of products placed right; a label known only to a branch asks for that branch alone."""
    return _mean(judged.right)


def strict_accuracy(judged: MatchedPredictions) -> float:
    """Share of products whose predicted path is the label's path, to the letter."""
    return _mean(judged.strict)


def topk_accuracy(scores: Scores, truth: Truth, k: int = 5) -> float:
    """Share of products with an acceptable place among their k most probable terminals."""
    return _mean(np.logical_or.reduce(truth.hits(answerable(scores, k)), axis=1))


def answerable(scores: Scores, k: int) -> np.ndarray:
    """(B, k) the k most probable terminals, -1 where fewer have any probability."""
    top = scores.topk(k)
    return np.where(np.isfinite(top.logp), top.node, -1)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(len(a)), where=b > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
