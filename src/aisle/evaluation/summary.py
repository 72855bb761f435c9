"""Scores over all products, per level and per class-frequency band."""

import math
from typing import Any

import numpy as np

from aisle.evaluation.collect import TopPredictions
from aisle.evaluation.scores import BandScore, ConfidenceInterval, LevelScore, Overall, Summary
from aisle.metrics import (
    Interval,
    MatchedPredictions,
    at_level,
    by_frequency,
    clopper_pearson,
    expected_calibration_error,
    overall_metrics,
)

TOP = 5


def summarize(
    predictions: TopPredictions,
    matched: MatchedPredictions,
    top_hit: np.ndarray,
    train: np.ndarray | None,
    probabilistic: bool = True,
) -> Summary:
    """Score one method.

    Args:
        predictions: Its predictions for B products.
        matched: The same, matched with the labels.
        top_hit: (B,) bool: an acceptable category is among the five best.
        train: (M,) training products of each node, for the bands; None if unknown.
        probabilistic: Whether the scores are probabilities, so that calibration is measured.
    """
    tree = matched.taxonomy
    levels = (_level(predictions, matched, depth, probabilistic) for depth in range(1, tree.depth + 1))
    bands = [] if train is None else by_frequency(matched, train)
    return Summary(
        overall=_overall(predictions, matched, top_hit, probabilistic),
        levels=tuple(level for level in levels if level.products),
        bands=tuple(
            BandScore(
                name=b.name, low=b.low, high=b.high, products=len(b.rows), classes=b.classes,
                accuracy=b.accuracy, macro_f1=b.macro_f1,
            )
            for b in bands
        ),
    )  # fmt: skip


def _overall(
    predictions: TopPredictions, matched: MatchedPredictions, top_hit: np.ndarray, probabilistic: bool
) -> Overall:
    metrics: dict[str, Any] = dict(overall_metrics(matched))
    metrics["accuracy"] = limits(clopper_pearson(int(matched.right.sum()), len(matched)))
    metrics["top5"] = float(top_hit.mean())
    if probabilistic:
        metrics["ece"] = expected_calibration_error(confidence(predictions, matched), matched.right)
        metrics["nll"] = _finite_mean(predictions.nll)
    return Overall(**metrics)


def _level(
    predictions: TopPredictions, matched: MatchedPredictions, depth: int, probabilistic: bool
) -> LevelScore:
    level = at_level(matched, depth)
    if not len(level.rows):
        return LevelScore(
            level=depth, products=0, classes=0, accuracy=0, macro_f1=0, weighted_f1=0, top5=0, ece=None,
            nll=None,
        )  # fmt: skip
    f1 = level.f1
    is_shorter = matched.taxonomy.node_depth[matched.predicted[level.rows]] < depth
    level_confidence = np.where(
        is_shorter, predictions.logp[level.rows, 0], predictions.lineage[level.rows, depth - 1]
    )
    return LevelScore(
        level=depth,
        products=len(level.rows),
        classes=int((f1.support > 0).sum()),
        accuracy=float(level.right.mean()),
        macro_f1=f1.macro,
        weighted_f1=f1.weighted,
        top5=float((predictions.level_rank[level.rows, depth - 1] < TOP).mean()),
        ece=expected_calibration_error(np.exp(level_confidence), level.right) if probabilistic else None,
        nll=_finite_mean(predictions.level_nll[level.rows, depth - 1]) if probabilistic else None,
    )


def confidence(predictions: TopPredictions, matched: MatchedPredictions) -> np.ndarray:
    """(B,) probability of the matched category: the best terminal, or, for a label known only to a branch,
    the branch of the best path at that depth."""
    tree = matched.taxonomy
    depth = np.minimum(tree.node_depth[matched.predicted], tree.node_depth[matched.node])
    branch = predictions.lineage[np.arange(len(matched)), depth - 1]
    return np.exp(np.where(matched.exact, predictions.logp[:, 0], branch))


def limits(interval: Interval) -> ConfidenceInterval:
    """The record of an interval."""
    return ConfidenceInterval(value=interval.value, low=interval.low, high=interval.high)


def _finite_mean(values: np.ndarray) -> float | None:
    """The mean without infinite values, which labels outside the tree have; None if none is left."""
    finite = values[np.isfinite(values)]
    mean = float(finite.mean()) if len(finite) else math.nan
    return mean if math.isfinite(mean) else None
