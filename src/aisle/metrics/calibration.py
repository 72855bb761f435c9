"""Calibration metrics: reliability bins, expected calibration error, precision against coverage."""

from typing import NamedTuple

import numpy as np

BINS = 15


class Reliability(NamedTuple):
    """A reliability diagram with n bins of equal width.

    Attributes:
        low: (n,) lower edges.
        high: (n,) upper edges.
        count: (n,) products.
        confidence: (n,) mean confidence, NaN in empty bins.
        accuracy: (n,) share of correct predictions, NaN in empty bins.
    """

    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Bin predictions by confidence into intervals (low, high], the first one closed.

    Args:
        confidence: (B,) in [0, 1].
        right: (B,) bool, whether the prediction is correct.
        bins: number of bins.

    Raises:
        ValueError: a confidence is not a probability.
    """
    if len(confidence) and not (np.min(confidence) >= 0 and np.max(confidence) <= 1 + 1e-6):
        raise ValueError("confidences must lie between 0 and 1")
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(bin_of, confidence, bins) / count
        accuracy = np.bincount(bin_of, right, bins) / count
    edges = np.arange(bins + 1) / bins
    return Reliability(edges[:-1], edges[1:], count, mean, accuracy)


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: Σ count/B · |accuracy - confidence| (Guo et al. 2017, equation 3).

    Args:
        confidence: (B,) in [0, 1].
        right: (B,) bool, whether the prediction is correct.
        bins: number of bins.

    Returns:
        0 is perfect; NaN without products.
    """
    if not len(confidence):
        return float("nan")
    r = reliability(confidence, right, bins)
    gap = np.where(r.count > 0, np.abs(r.accuracy - r.confidence), 0.0)
    return float(gap @ r.count / len(confidence))


class Coverage(NamedTuple):
    """Selective classification: only predictions above a threshold are accepted.

    Attributes:
        threshold: (n,) of the confidence, falling.
        coverage: (n,) share of accepted predictions.
        precision: (n,) share of accepted predictions that are correct.
    """

    threshold: np.ndarray
    coverage: np.ndarray
    precision: np.ndarray


def precision_coverage(confidence: np.ndarray, right: np.ndarray) -> Coverage:
    """Precision and coverage at every distinct confidence.

    Args:
        confidence: (B,).
        right: (B,) bool, whether the prediction is correct.
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_ = confidence[order]
    last = np.flatnonzero(np.append(np.diff(sorted_) != 0, True)) if len(order) else np.array([], int)
    hits = np.cumsum(right[order])[last]
    return Coverage(sorted_[last], (last + 1) / max(len(order), 1), hits / (last + 1))
