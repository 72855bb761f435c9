"""How good a ranking is: what was wanted, and how early it came.

Q queries, G products ranked; `relevant` (Q, G) bool in the order of the ranking, the best first.
"""

import numpy as np


def recall_at(relevant: np.ndarray, k: int) -> np.ndarray:
    """(Q,) whether anything relevant is among the first k: recall@k where one product is wanted."""
    return np.asarray(np.asarray(relevant)[:, :k].any(1))


def precision_at(gain: np.ndarray, k: int) -> np.ndarray:
    """(Q,) mean gain of the first k. Bool: precision@k; the share of the path that query and hit have in
    common (`shared_path`): hierarchical precision@k."""
    return np.asarray(gain, np.float64)[:, :k].mean(1)


def reciprocal_rank(relevant: np.ndarray) -> np.ndarray:
    """(Q,) 1 / the rank of the first relevant product, 0 without one; its mean is MRR."""
    found = np.asarray(relevant, bool)
    return np.where(found.any(1), 1.0 / (found.argmax(1) + 1), 0.0)


def average_precision(relevant: np.ndarray) -> np.ndarray:
    """(Q,) mean of the precisions at each relevant product, NaN without one; its mean is mAP (Manning,
    Raghavan & Schütze 2008, §8.4)."""
    found = np.asarray(relevant, bool)
    with np.errstate(invalid="ignore"):
        precision = found.cumsum(1) / np.arange(1, found.shape[1] + 1)
        return (precision * found).sum(1) / np.where(found.any(1), found.sum(1), np.nan)


def shared_path(ancestors: np.ndarray, asked: np.ndarray, found: np.ndarray) -> np.ndarray:
    """How much of the query's path a hit shares, from 0 (another top category) to 1 (the same place).

    ancestors: (M, L) `Taxonomy.ancestors`; asked (Q,) and found (Q, K) nodes. Returns (Q, K).
    """
    own = ancestors[asked]  # (Q, L)
    same = (ancestors[found] == own[:, None, :]) & (own >= 0)[:, None, :]
    return same.cumprod(2).sum(2) / (own >= 0).sum(1)[:, None]


def modality_gap(one: np.ndarray, other: np.ndarray) -> float:
    """Distance between the mean vectors of two views of the same n products, each row scaled to length 1: the
    cross-modal gap (Liang et al., arXiv 2203.02053)."""
    a, b = (m / np.linalg.norm(m, axis=1, keepdims=True).clip(1e-12) for m in (one, other))
    return float(np.linalg.norm(a.mean(0) - b.mean(0)))


def semantic_similarity(classes: np.ndarray, asked: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(Q, K) cosine between the name vectors (M, C) of the query's class and of each hit's: how near in
    meaning even a wrong answer is (Narayana et al., arXiv 1911.05978, §4)."""
    unit = classes / np.linalg.norm(classes, axis=1, keepdims=True).clip(1e-12)
    return np.einsum("qc,qkc->qk", unit[asked], unit[found])
