"""Metrics of all predictions, one number each.

`__all__` is the registry: reports, `aisle compare`, training logs and the key `metric` of a stage know all of
them. A metric takes a `MatchedPredictions` and returns a float, or None where it does not apply.
"""

from aisle.metrics import flat, hierarchical
from aisle.metrics.truth import MatchedPredictions

__all__ = [
    "accuracy",
    "balanced_accuracy",
    "contest_score",
    "hierarchical_f1",
    "hierarchical_precision",
    "hierarchical_recall",
    "macro_f1",
    "matthews_correlation",
    "strict_accuracy",
    "weighted_f1",
]


def accuracy(matched: MatchedPredictions) -> float:
    """Share of correct paths; for a label that is a branch, any category in it is correct."""
    return flat.accuracy(matched)


def macro_f1(matched: MatchedPredictions) -> float:
    """Mean F1 over labels."""
    return flat.f1_scores(matched.node, matched.answer).macro


def balanced_accuracy(matched: MatchedPredictions) -> float:
    """Mean recall over labels."""
    return flat.balanced_accuracy(matched.node, matched.answer)


def matthews_correlation(matched: MatchedPredictions) -> float:
    """Matthews correlation coefficient of several classes: 0 is chance, 1 is perfect."""
    return flat.matthews_correlation(matched.node, matched.answer)


def weighted_f1(matched: MatchedPredictions) -> float:
    """Mean F1 over labels, weighted by their products."""
    return flat.f1_scores(matched.node, matched.answer).weighted


def hierarchical_f1(matched: MatchedPredictions) -> float:
    """F1 over ancestor sets (Kiritchenko et al. 2006), which gives partial credit to near misses."""
    return hierarchical.hierarchical_scores(matched).f1


def hierarchical_precision(matched: MatchedPredictions) -> float:
    """Share of the nodes of predicted paths that are on the true paths."""
    return hierarchical.hierarchical_scores(matched).precision


def hierarchical_recall(matched: MatchedPredictions) -> float:
    """Share of the nodes of true paths that are on the predicted paths."""
    return hierarchical.hierarchical_scores(matched).recall


def strict_accuracy(matched: MatchedPredictions) -> float:
    """Share of products whose predicted path equals the label's path."""
    return flat.strict_accuracy(matched)


def contest_score(matched: MatchedPredictions) -> float | None:
    """Score of Kakao Arena's shopping classification, at best 1.225; only for trees of four levels."""
    applies = matched.taxonomy.depth == len(hierarchical.CONTEST_WEIGHTS)
    return hierarchical.contest_score(matched) if applies else None


def overall_metrics(matched: MatchedPredictions) -> dict[str, float]:
    """Every metric of the registry that applies, by name."""
    values = {name: globals()[name](matched) for name in __all__}
    return {name: float(value) for name, value in values.items() if value is not None}


def metric_label(name: str) -> str:
    """A metric's name in tables: `macro-F1` for `macro_f1`."""
    return name.replace("_f1", "-F1" if name == "macro_f1" else " F1").replace("_", " ")
