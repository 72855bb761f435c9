"""Metrics: flat, per level, hierarchical, calibration, retrieval, intervals. No torch here.

A product may have several acceptable categories (`Truth`). `truth.match(predicted)` chooses the one that each
prediction is compared with; the functions here take its result.
"""

from aisle.metrics.bands import Band, by_frequency
from aisle.metrics.calibration import (
    BINS,
    Coverage,
    Reliability,
    expected_calibration_error,
    precision_coverage,
    reliability,
)
from aisle.metrics.flat import F1, accuracy, f1_scores, macro_f1_of_pairs, strict_accuracy, topk_accuracy
from aisle.metrics.hierarchical import (
    CONTEST_WEIGHTS,
    HierarchicalScores,
    Level,
    LevelRanks,
    at_level,
    contest_score,
    hierarchical_scores,
    level_ranks,
)
from aisle.metrics.intervals import Interval, clopper_pearson, paired_bootstrap, paired_difference
from aisle.metrics.overall import metric_label, overall_metrics
from aisle.metrics.truth import MatchedPredictions, Truth

__all__ = [
    "BINS",
    "CONTEST_WEIGHTS",
    "F1",
    "Band",
    "Coverage",
    "HierarchicalScores",
    "Interval",
    "Level",
    "LevelRanks",
    "MatchedPredictions",
    "Reliability",
    "Truth",
    "accuracy",
    "at_level",
    "by_frequency",
    "clopper_pearson",
    "contest_score",
    "expected_calibration_error",
    "f1_scores",
    "hierarchical_scores",
    "level_ranks",
    "macro_f1_of_pairs",
    "metric_label",
    "overall_metrics",
    "paired_bootstrap",
    "paired_difference",
    "precision_coverage",
    "reliability",
    "strict_accuracy",
    "topk_accuracy",
]
