"""Calibration metrics: reliability bins, expected calibration error, precision against coverage."""

from typing import NamedTuple

import numpy as np

BINS = 15


class Reliability(NamedTuple):
    """Equal-width bins of confidence: `low` and `high` edges (n,), how many products (`count`), their
    mean `confidence` and their `accuracy`; NaN in empty bins."""

    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Sort products (B,) into bins ((low, high], the first one closed) by confidence in [0, 1].

    Raises:
        ValueError: a confidence is not a probability.
    """
    if len(confidence) and not (np.min(confidence) >= 0 and np.max(confidence) <= 1 + 1e-6):
        raise ValueError("confidences must lie between 0 and 1")
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, confidence, bins) / count
        accuracy = np.bincount(place, right, bins) / count
    edges = np.arange(bins + 1) / bins
    return Reliability(edges[:-1], edges[1:], count, mean, accuracy)


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Σ count/B · |accuracy - confidence| over equal-width bins (Guo et al. 2017, equation 3; 15 bins
    as there). 0 is perfect; NaN without products."""
    if not len(confidence):
        return float("nan")
    r = reliability(confidence, right, bins)
    gap = np.where(r.count > 0, np.abs(r.accuracy - r.confidence), 0.0)
    return float(gap @ r.count / len(confidence))


class Coverage(NamedTuple):
    """Answering only the surest products: at each `threshold` (n,), the share answered (`coverage`) and
    the share of those that is right (`precision`); coverage rises."""

    threshold: np.ndarray
    coverage: np.ndarray
    precision: np.ndarray


def precision_coverage(confidence: np.ndarray, right: np.ndarray) -> Coverage:
    """One point for every distinct confidence (B,): answer all products at least that sure."""
    order = np.argsort(-confidence, kind="stable")
    sorted_ = confidence[order]
    last = np.flatnonzero(np.append(np.diff(sorted_) != 0, True)) if len(order) else np.array([], int)
    hits = np.cumsum(right[order])[last]
    return Coverage(sorted_[last], (last + 1) / max(len(order), 1), hits / (last + 1))
