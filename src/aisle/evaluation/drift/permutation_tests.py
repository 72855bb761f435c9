"""Permutation tests of whether two samples of rows differ by more than chance."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

SHUFFLES = 1999
SAMPLE = 700  # rows of each whose distances are compared
ALPHA = 0.05  # chance that anything at all is called changed where nothing is (Holm 1979)


class TestResult(NamedTuple):
    """The effect size of the difference between two samples, and its p-value."""

    effect: float
    p: float


def share_test(before: np.ndarray, after: np.ndarray) -> TestResult:
    """Test categorical values: total variation distance, with a permutation test of the chi-square statistic.

    Values that are rare in both samples are merged into one, which reduces noise.
    """
    pooled = np.concatenate([before, after])
    values, code, counts = np.unique(pooled.astype(str), return_inverse=True, return_counts=True)
    common = counts >= 5
    code = np.where(common[code], code, len(values))
    _, code = np.unique(code, return_inverse=True)
    size = int(code.max()) + 1
    total = np.bincount(code, minlength=size)
    n, m = len(before), len(after)

    def chi(codes: np.ndarray) -> float:
        observed = np.bincount(codes, minlength=size)
        expected = total * n / (n + m)
        return float(((observed - expected) ** 2 / expected).sum())

    variation = (
        0.5
        * np.abs(np.bincount(code[:n], minlength=size) / n - np.bincount(code[n:], minlength=size) / m).sum()
    )
    noise = expected_variation(total / total.sum(), n, m)
    return TestResult(max(float(variation) - noise, 0.0), _permutation_p(chi, code, n))


def expected_variation(shares: np.ndarray, n: int, m: int) -> float:
    """The expected total variation distance of two samples of one distribution."""
    deviation = np.sqrt(shares * (1 - shares) * (1 / n + 1 / m))
    return float(0.5 * np.sqrt(2 / np.pi) * deviation.sum())


def ks_test(before: np.ndarray, after: np.ndarray) -> TestResult:
    """Test numbers: the Kolmogorov-Smirnov distance."""
    pooled = np.concatenate([before, after]).astype(float)
    order = np.argsort(pooled, kind="stable")
    last_of_value = np.r_[np.flatnonzero(np.diff(pooled[order]) > 0), len(pooled) - 1]
    n, m = len(before), len(after)

    def distance(indices: np.ndarray) -> float:
        is_first = np.zeros(len(pooled))
        is_first[indices] = 1
        cumulative = np.cumsum(is_first[order])[last_of_value]
        return float(np.abs(cumulative / n - (last_of_value + 1 - cumulative) / m).max())

    return TestResult(distance(np.arange(n)), _permutation_p(distance, np.arange(len(pooled)), n))


def word_test(before: Mapping[str, int], n: int, after: Mapping[str, int], m: int) -> TestResult:
    """Test document frequencies of words: the largest significant change of one word's share, else 0.

    Uses Fisher's exact test for each word, with a Bonferroni correction.

    Args:
        before: Number of rows of the first sample that contain each word.
        n: Rows of the first sample.
        after: The same of the second sample.
        m: Rows of the second sample.
    """
    from scipy.stats import hypergeom

    words = [word for word in before.keys() | after.keys() if before.get(word, 0) + after.get(word, 0) >= 5]
    if not words:
        return TestResult(0.0, 1.0)
    count_before = np.array([before.get(word, 0) for word in words])
    count_after = np.array([after.get(word, 0) for word in words])
    p_increase = hypergeom.sf(count_after - 1, n + m, count_before + count_after, m)
    p_decrease = hypergeom.cdf(count_after, n + m, count_before + count_after, m)
    p = np.minimum(2 * np.minimum(p_increase, p_decrease) * len(words), 1.0)
    changes = np.abs(count_before / n - count_after / m)[p <= ALPHA]
    return TestResult(float(changes.max(initial=0.0)), float(p.min()))


def energy_distance(before: np.ndarray, after: np.ndarray) -> TestResult:
    """Test vectors: the energy distance (Székely & Rizzo 2004), as a share of the mean pairwise distance."""
    rng = np.random.default_rng(0)
    before, after = (_subsample(rows, rng) for rows in (before, after))
    pooled = np.concatenate([before, after]).astype(np.float64)
    squared_norm = (pooled**2).sum(1)
    distances = np.sqrt(np.maximum(squared_norm[:, None] + squared_norm[None] - 2 * pooled @ pooled.T, 0))
    n, m = len(before), len(after)
    signs = np.full((SHUFFLES + 1, n + m), -1 / m)
    signs[0, :n] = 1 / n
    for row in signs[1:]:
        row[rng.permutation(n + m)[:n]] = 1 / n
    energy = -((signs @ distances) * signs).sum(1)
    scale = float(distances.mean()) or 1.0
    effect = max(float(energy[0] - energy[1:].mean()), 0.0) / scale
    return TestResult(effect, float((1 + (energy[1:] >= energy[0] - 1e-12).sum()) / (SHUFFLES + 1)))


def _subsample(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= SAMPLE else rows[rng.choice(len(rows), SAMPLE, replace=False)]


def holm(p: list[float]) -> list[bool]:
    """Which of several tests find something, the chance of any false finding at most `ALPHA` (Holm 1979)."""
    rejected = [False] * len(p)
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] > ALPHA / (len(p) - rank):
            break
        rejected[i] = True
    return rejected


def _permutation_p(statistic: Callable[[np.ndarray], float], items: np.ndarray, n: int) -> float:
    rng = np.random.default_rng(0)
    observed = statistic(items[:n])
    exceeding = sum(statistic(rng.permutation(items)[:n]) >= observed - 1e-12 for _ in range(SHUFFLES))
    return (1 + exceeding) / (SHUFFLES + 1)
