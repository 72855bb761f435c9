"""Exact finite-sample statements about a proportion, and the search they stay true through.

Learn then Test (Angelopoulos et al., arXiv 2110.01052): each candidate threshold is a null hypothesis
"the loss here exceeds what was promised", tested with an exact p-value; fixed-sequence testing walks
the candidates from the safe end and stops at the first that cannot be rejected. Whatever is chosen
among those rejected, the chance that it breaks the promise is at most delta, over the whole search.
"""

import math

import numpy as np
from scipy.special import bdtr, betaincinv, ndtri

_BETS = 60  # constant bets from nothing to all


def binomial_p(errors: np.ndarray | int, rows: np.ndarray | int, alpha: float) -> np.ndarray:
    """P(Binomial(rows, alpha) <= errors): small when fewer errors were seen than a rate of alpha explains.

    Exact for "the error rate is at least alpha" with independent rows; 1 where there is no row.
    """
    return np.where(np.asarray(rows) > 0, bdtr(errors, np.maximum(rows, 1), alpha), 1.0)


def betting_p(losses: np.ndarray, alpha: float, top: float, worth: float = 1.0) -> float:
    """A p-value for "the mean of these losses in [0, top] is at least alpha", valid for any n.

    One over the capital that betting on smaller losses has made (Waudby-Smith & Ramdas, arXiv
    2010.09686): the mean over constant bets from nothing to all, so that none need be tuned and the
    order of the rows does not matter. worth: independent rows that one row is worth.
    """
    x = np.asarray(losses, dtype=float) / top
    m = min(alpha / top, 1.0)
    size = np.linspace(0, 1, _BETS, endpoint=False) / max(1 - m, 1e-12)  # (K,) 1 / (1 - m) risks all
    values, counts = np.unique(x, return_counts=True)
    capital = worth * (np.log1p(size[:, None] * (m - values)) @ counts)  # (K,)
    return float(min(1.0, np.exp(np.log(_BETS) - np.logaddexp.reduce(capital))))


def rows_to_show(rate: np.ndarray, alpha: float, delta: float, chance: float) -> np.ndarray:
    """About how many rows show, with this chance, that an error rate is below alpha; inf unless it is.

    By the normal approximation to the binomial, and never fewer than errorless rows would take.
    """
    edge = -ndtri(delta) * math.sqrt(alpha * (1 - alpha))
    room = np.where(rate < alpha, alpha - rate, np.nan)
    rows = ((edge + ndtri(chance) * np.sqrt(rate * (1 - rate))) / room) ** 2
    return np.where(np.isnan(rows), np.inf, np.maximum(rows, rows_for_certainty(1 - alpha, delta)))


def reject_in_order(p_values: np.ndarray, delta: float) -> int:
    """How many hypotheses fixed-sequence testing rejects at level delta: those before the first p > delta."""
    failed = np.flatnonzero(~(np.asarray(p_values) <= delta))
    return int(failed[0]) if len(failed) else len(p_values)


def rows_for_certainty(precision: float, delta: float) -> int:
    """The fewest rows, all of them right, that can promise `precision` with confidence 1 - delta."""
    return max(1, math.ceil(math.log(delta) / math.log(precision)))


def clopper_pearson(right: int, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """One-sided exact limits of a proportion, each at `confidence`: (lower, upper); (0, 1) without rows."""
    if rows == 0:
        return 0.0, 1.0
    lower = betaincinv(right, rows - right + 1, 1 - confidence) if right else 0.0
    upper = betaincinv(right + 1, rows - right, confidence) if right < rows else 1.0
    return float(lower), float(upper)
