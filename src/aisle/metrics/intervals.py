"""Confidence intervals: Clopper-Pearson, paired bootstrap, paired differences."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A confidence interval.

    Attributes:
        value: the measured value.
        low: lower limit.
        high: upper limit.
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether both limits are on the same side of zero."""
        return self.low > 0 or self.high < 0


def mean(values: np.ndarray) -> float:
    """The mean of values; of hits, the accuracy."""
    return float(values.mean())


def paired_bootstrap(
    a: np.ndarray,
    b: np.ndarray,
    statistic: Callable[[np.ndarray], float] = mean,
    *,
    groups: np.ndarray | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A percentile interval of statistic(a) - statistic(b), by the paired bootstrap.

    Source: Efron & Tibshirani (1993, chapter 13); Koehn (2004).

    Args:
        a: (B, …) results of one method.
        b: (B, …) results of another method on the same products, in the same order.
        statistic: of the results.
        groups: (B,) products with equal numbers (near-duplicates) are drawn together.
        resamples: number of draws.
        confidence: of the interval.
        seed: seed of the draws.

    Raises:
        ValueError: a and b hold different numbers of products, or none.
    """
    if len(a) != len(b) or not len(a):
        raise ValueError(f"a paired comparison needs the same products: {len(a):,} against {len(b):,}")
    value = statistic(a) - statistic(b)
    rng = np.random.default_rng(seed)
    draw = _drawer(len(a), groups, rng)
    differences = np.empty(resamples)
    for i in range(resamples):
        rows = draw()
        differences[i] = statistic(a[rows]) - statistic(b[rows])
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def _drawer(count: int, groups: np.ndarray | None, rng: np.random.Generator) -> Callable[[], np.ndarray]:
    """A function that draws `count` products, or as many groups as there are, with replacement."""
    if groups is None:
        return lambda: rng.integers(0, count, count)
    _, number = np.unique(groups, return_inverse=True)
    order = np.argsort(number, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(number))[:-1])
    return lambda: np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])


def clopper_pearson(right: int, count: int, confidence: float = 0.95) -> Interval:
    """The exact two-sided interval of a share (Clopper & Pearson 1934).

    Args:
        right: number of successes.
        count: number of trials; without any, the interval is (NaN, 0, 1).
        confidence: of the interval; for a one-sided limit at level c, 2c - 1.

    Raises:
        ValueError: right is not between 0 and count.
    """
    from scipy.special import betaincinv

    if not 0 <= right <= count:
        raise ValueError(f"{right} successes in {count} trials")
    if not count:
        return Interval(float("nan"), 0.0, 1.0)
    tail = (1 - confidence) / 2
    low = float(betaincinv(right, count - right + 1, tail)) if right else 0.0
    high = float(betaincinv(right + 1, count - right, 1 - tail)) if right < count else 1.0
    return Interval(right / count, low, high)


def paired_difference(a: np.ndarray, b: np.ndarray, confidence: float = 0.95) -> Interval:
    """The interval of share(a) - share(b), in closed form.

    Half a product is added to each of the four cells (both right, either, none), so that a few rows on which
    the methods never differ prove nothing (Agresti & Min, Statistics in Medicine 2005).

    Args:
        a: (B,) bool, hits of one method.
        b: (B,) bool, hits of another method on the same products; without any, the interval is (NaN, -1, 1).
        confidence: of the interval; for a one-sided limit at level c, 2c - 1.

    Raises:
        ValueError: a and b hold different numbers of products.
    """
    from scipy.special import ndtri

    a, b = np.asarray(a, bool), np.asarray(b, bool)
    if len(a) != len(b):
        raise ValueError(f"a paired comparison needs the same products: {len(a):,} against {len(b):,}")
    if not len(a):
        return Interval(float("nan"), -1.0, 1.0)
    gained, lost = float((a & ~b).sum()), float((b & ~a).sum())
    n = len(a) + 2
    middle = (gained - lost) / n
    reach = float(ndtri((1 + confidence) / 2)) * np.sqrt((gained + lost + 1) / n - middle**2) / np.sqrt(n)
    return Interval((gained - lost) / len(a), max(middle - reach, -1.0), min(middle + reach, 1.0))
