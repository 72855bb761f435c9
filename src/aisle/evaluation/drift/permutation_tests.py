"""Do two samples of rows differ by more than chance? Permutation tests: rows are shuffled between them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

SHUFFLES = 1999
SAMPLE = 700  # rows of each whose distances are compared
ALPHA = 0.05  # chance that anything at all is called changed where nothing is (Holm 1979)


class TestResult(NamedTuple):
    """How far apart two samples are (`effect`), and how often chance alone sets them as far apart (`p`)."""

    effect: float
    p: float


def shares(before: np.ndarray, after: np.ndarray) -> TestResult:
    """Of values: the total variation distance of their shares; tested by the chi-square statistic.

    Values that are rare in both count as one, so that chance does not look like change.
    """
    both = np.concatenate([before, after])
    values, code, counts = np.unique(both.astype(str), return_inverse=True, return_counts=True)
    common = counts >= 5
    code = np.where(common[code], code, len(values))
    _, code = np.unique(code, return_inverse=True)
    size = int(code.max()) + 1
    total = np.bincount(code, minlength=size)
    n, m = len(before), len(after)

    def chi(mine: np.ndarray) -> float:
        first = np.bincount(mine, minlength=size)
        expected = total * n / (n + m)
        return float(((first - expected) ** 2 / expected).sum())

    apart = (
        0.5
        * np.abs(np.bincount(code[:n], minlength=size) / n - np.bincount(code[n:], minlength=size) / m).sum()
    )
    noise = expected_variation(total / total.sum(), n, m)
    return TestResult(max(float(apart) - noise, 0.0), _shuffled(chi, code, n))


def expected_variation(share: np.ndarray, n: int, m: int) -> float:
    """The total variation distance that chance alone is expected to give."""
    spread = np.sqrt(share * (1 - share) * (1 / n + 1 / m))
    return float(0.5 * np.sqrt(2 / np.pi) * spread.sum())


def values(before: np.ndarray, after: np.ndarray) -> TestResult:
    """Of numbers: the Kolmogorov-Smirnov distance."""
    both = np.concatenate([before, after]).astype(float)
    order = np.argsort(both, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(both[order]) > 0), len(both) - 1]
    n, m = len(before), len(after)

    def distance(mine: np.ndarray) -> float:
        here = np.zeros(len(both))
        here[mine] = 1
        first = np.cumsum(here[order])[ends]
        return float(np.abs(first / n - (ends + 1 - first) / m).max())

    return TestResult(distance(np.arange(n)), _shuffled(distance, np.arange(len(both)), n))


def occurrences(before: Mapping[str, int], n: int, after: Mapping[str, int], m: int) -> TestResult:
    """Of words, in how many of n and of m rows each occurs: the largest change of one word's share that is
    beyond chance, 0 where none is.

    Shuffling rows gives each word's count a hypergeometric distribution, so that no shuffle is needed
    (Fisher's exact test); of all words together the least p, times how many there are (Bonferroni).
    """
    from scipy.stats import hypergeom

    words = [word for word in before.keys() | after.keys() if before.get(word, 0) + after.get(word, 0) >= 5]
    if not words:
        return TestResult(0.0, 1.0)
    had = np.array([before.get(word, 0) for word in words])
    has = np.array([after.get(word, 0) for word in words])
    more = hypergeom.sf(has - 1, n + m, had + has, m)
    less = hypergeom.cdf(has, n + m, had + has, m)
    p = np.minimum(2 * np.minimum(more, less) * len(words), 1.0)
    moved = np.abs(had / n - has / m)[p <= ALPHA]
    return TestResult(float(moved.max(initial=0.0)), float(p.min()))


def clouds(before: np.ndarray, after: np.ndarray) -> TestResult:
    """Of vectors: the energy distance (Székely & Rizzo 2004), as a share of the rows' mean distance."""
    rng = np.random.default_rng(0)
    before, after = (_some(rows, rng) for rows in (before, after))
    both = np.concatenate([before, after]).astype(np.float64)
    square = (both**2).sum(1)
    apart = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * both @ both.T, 0))
    n, m = len(before), len(after)
    signs = np.full((SHUFFLES + 1, n + m), -1 / m)
    signs[0, :n] = 1 / n
    for row in signs[1:]:
        row[rng.permutation(n + m)[:n]] = 1 / n
    energy = -((signs @ apart) * signs).sum(1)
    scale = float(apart.mean()) or 1.0
    effect = max(float(energy[0] - energy[1:].mean()), 0.0) / scale
    return TestResult(effect, float((1 + (energy[1:] >= energy[0] - 1e-12).sum()) / (SHUFFLES + 1)))


def _some(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= SAMPLE else rows[rng.choice(len(rows), SAMPLE, replace=False)]


def holm(p: list[float]) -> list[bool]:
    """Which of several tests find something, the chance of any false finding at most `ALPHA` (Holm 1979)."""
    found = [False] * len(p)
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] > ALPHA / (len(p) - rank):
            break
        found[i] = True
    return found


def _shuffled(statistic: Callable[[np.ndarray], float], items: np.ndarray, n: int) -> float:
    rng = np.random.default_rng(0)
    seen = statistic(items[:n])
    beyond = sum(statistic(rng.permutation(items)[:n]) >= seen - 1e-12 for _ in range(SHUFFLES))
    return (1 + beyond) / (SHUFFLES + 1)
