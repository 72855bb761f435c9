"""Flat metrics: accuracy, F1, top-k."""

from typing import NamedTuple

import numpy as np

from aisle.metrics.truth import MatchedPredictions, Truth
from aisle.taxonomy import Scores


class F1(NamedTuple):
    """F1 scores of C labels, and their averages.

    Attributes:
        macro: mean F1 over labels.
        weighted: mean F1 weighted by support.
        labels: (C,) labels that occur among the true or predicted ones.
        precision: (C,).
        recall: (C,).
        f1: (C,).
        support: (C,) number of products with the label.
    """

    macro: float
    weighted: float
    labels: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def f1_scores(true: np.ndarray, predicted: np.ndarray) -> F1:
    """F1 with the defaults of scikit-learn (`zero_division=0`), over all labels that occur.

    Args:
        true: (B,) labels, integers from 0.
        predicted: (B,) predicted labels.

    Returns:
        The scores; averages are NaN without products.
    """
    size = 1 + max(true.max(initial=-1), predicted.max(initial=-1))
    counts = np.stack([np.bincount(x, minlength=size) for x in (true, predicted, true[true == predicted])])
    labels = np.flatnonzero(counts[0] + counts[1])
    support, predicted_count, hit = counts[:, labels]
    f1 = _ratio(2 * hit, support + predicted_count)
    macro = float(f1.mean()) if len(labels) else float("nan")
    weighted = float(f1 @ support / len(true)) if len(labels) else float("nan")
    return F1(macro, weighted, labels, _ratio(hit, predicted_count), _ratio(hit, support), f1, support)


def balanced_accuracy(true: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall over the true labels, as scikit-learn's `balanced_accuracy_score`.

    Args:
        true: (B,) labels, integers from 0.
        predicted: (B,) predicted labels.
    """
    found = f1_scores(true, predicted)
    return _mean(found.recall[found.support > 0])


def matthews_correlation(true: np.ndarray, predicted: np.ndarray) -> float:
    """Matthews correlation of several classes (Gorodkin 2004), as scikit-learn's `matthews_corrcoef`.

    Unlike scikit-learn's it needs no confusion matrix, whose size is the square of the number of labels.

    Args:
        true: (B,) labels, integers from 0.
        predicted: (B,) predicted labels.

    Returns:
        From -1 to 1; 0 for predictions no better than chance, and where one label is all there is.
    """
    size = 1 + max(true.max(initial=-1), predicted.max(initial=-1))
    t, p = (np.bincount(x, minlength=size).astype(np.float64) for x in (true, predicted))
    n = float(len(true))
    spread = (n * n - p @ p) * (n * n - t @ t)
    return float(((true == predicted).sum() * n - t @ p) / np.sqrt(spread)) if spread > 0 else 0.0


def macro_f1_of_pairs(pairs: np.ndarray) -> float:
    """Macro-F1 of pairs (B, 2) of true and predicted labels, a statistic for `paired_bootstrap`."""
    return f1_scores(pairs[:, 0], pairs[:, 1]).macro


def accuracy(matched: MatchedPredictions) -> float:
    """Share of correct predictions; for a label that is a branch, any category in it is correct."""
    return _mean(matched.right)


def strict_accuracy(matched: MatchedPredictions) -> float:
    """Share of products whose predicted path equals the label's path."""
    return _mean(matched.strict)


def topk_accuracy(scores: Scores, truth: Truth, k: int = 5) -> float:
    """Share of products with an acceptable category among their k most probable terminals."""
    return _mean(np.logical_or.reduce(truth.hits(answerable(scores, k)), axis=1))


def answerable(scores: Scores, k: int) -> np.ndarray:
    """(B, k) the k most probable terminals, -1 where fewer have any probability."""
    top = scores.topk(k)
    return np.where(np.isfinite(top.logp), top.node, -1)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(len(a)), where=b > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
