"""Numbers over all products, per level and per class-frequency band."""

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
    answers: TopPredictions,
    judged: MatchedPredictions,
    hit: np.ndarray,
    train: np.ndarray | None,
    probable: bool = True,
) -> Summary:
    """Score one method.

    hit: (B,) an acceptable place is among the five best. train: (M,) training products of each node,
    for the bands. probable: the answers are probabilities, so calibration means something.
    """
    tree = judged.taxonomy
    levels = (_level(answers, judged, depth, probable) for depth in range(1, tree.depth + 1))
    bands = [] if train is None else by_frequency(judged, train)
    return Summary(
        overall=_overall(answers, judged, hit, probable),
        levels=tuple(level for level in levels if level.products),
        bands=tuple(
            BandScore(
                name=b.name, low=b.low, high=b.high, products=len(b.rows), classes=b.classes,
                accuracy=b.accuracy, macro_f1=b.macro_f1,
            )
            for b in bands
        ),
    )  # fmt: skip


def _overall(answers: TopPredictions, judged: MatchedPredictions, hit: np.ndarray, probable: bool) -> Overall:
    metrics: dict[str, Any] = dict(overall_metrics(judged))
    metrics["accuracy"] = limits(clopper_pearson(int(judged.right.sum()), len(judged)))
    metrics["top5"] = float(hit.mean())
    if probable:
        metrics["ece"] = expected_calibration_error(confidence(answers, judged), judged.right)
        metrics["nll"] = _finite_mean(answers.nll)
    return Overall(**metrics)


def _level(answers: TopPredictions, judged: MatchedPredictions, depth: int, probable: bool) -> LevelScore:
    level = at_level(judged, depth)
    if not len(level.rows):
        return LevelScore(
            level=depth, products=0, classes=0, accuracy=0, macro_f1=0, weighted_f1=0, top5=0, ece=None,
            nll=None,
        )  # fmt: skip
    f1 = level.f1
    ended = judged.taxonomy.node_depth[judged.predicted[level.rows]] < depth
    sure = np.where(ended, answers.logp[level.rows, 0], answers.lineage[level.rows, depth - 1])
    return LevelScore(
        level=depth,
        products=len(level.rows),
        classes=int((f1.support > 0).sum()),
        accuracy=float(level.right.mean()),
        macro_f1=f1.macro,
        weighted_f1=f1.weighted,
        top5=float((answers.level_rank[level.rows, depth - 1] < TOP).mean()),
        ece=expected_calibration_error(np.exp(sure), level.right) if probable else None,
        nll=_finite_mean(answers.level_nll[level.rows, depth - 1]) if probable else None,
    )


def confidence(answers: TopPredictions, judged: MatchedPredictions) -> np.ndarray:
    """(B,) the probability given to what is judged: the best terminal, or, where the label is only
    known to a branch, the best path's branch at that depth."""
    tree = judged.taxonomy
    depth = np.minimum(tree.node_depth[judged.predicted], tree.node_depth[judged.node])
    branch = answers.lineage[np.arange(len(judged)), depth - 1]
    return np.exp(np.where(judged.exact, answers.logp[:, 0], branch))


def limits(interval: Interval) -> ConfidenceInterval:
    """The record of an interval."""
    return ConfidenceInterval(value=interval.value, low=interval.low, high=interval.high)


def _finite_mean(values: np.ndarray) -> float | None:
    """Over what can be right at all: a label that no answer can name would make it infinite."""
    finite = values[np.isfinite(values)]
    mean = float(finite.mean()) if len(finite) else math.nan
    return mean if math.isfinite(mean) else None
