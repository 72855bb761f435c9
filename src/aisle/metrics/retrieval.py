"""Retrieval metrics.

Shapes: Q queries, G ranked products; `relevant` (Q, G) bool in the order of the ranking.
"""

import numpy as np


def recall_at(relevant: np.ndarray, k: int) -> np.ndarray:
    """(Q,) bool, whether a relevant product is among the first k; recall@k where one product is relevant."""
    return np.asarray(np.asarray(relevant)[:, :k].any(1))


def precision_at(gain: np.ndarray, k: int) -> np.ndarray:
    """(Q,) the mean gain of the first k: precision@k of bools, hierarchical precision@k of `shared_path`."""
    return np.asarray(gain, np.float64)[:, :k].mean(1)


def reciprocal_rank(relevant: np.ndarray) -> np.ndarray:
    """(Q,) 1 / the rank of the first relevant product, 0 without one; its mean is MRR."""
    hits = np.asarray(relevant, bool)
    return np.where(hits.any(1), 1.0 / (hits.argmax(1) + 1), 0.0)


def average_precision(relevant: np.ndarray) -> np.ndarray:
    """(Q,) the mean precision at each relevant product, NaN without one; its mean is mAP.

    Source: Manning, Raghavan & Schütze (2008, §8.4).
    """
    hits = np.asarray(relevant, bool)
    with np.errstate(invalid="ignore"):
        precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
        return (precision * hits).sum(1) / np.where(hits.any(1), hits.sum(1), np.nan)


def shared_path(ancestors: np.ndarray, query: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """The share of the query's path that each hit has in common.

    Args:
        ancestors: (M, L) `Taxonomy.ancestors`.
        query: (Q,) nodes of the queries.
        hits: (Q, K) nodes of the hits.

    Returns:
        (Q, K) from 0 (another level-1 category) to 1 (the same category).
    """
    own = ancestors[query]  # (Q, L)
    same = (ancestors[hits] == own[:, None, :]) & (own >= 0)[:, None, :]
    return same.cumprod(2).sum(2) / (own >= 0).sum(1)[:, None]


def modality_gap(one: np.ndarray, other: np.ndarray) -> float:
    """The cross-modal gap (Liang et al., arXiv 2203.02053): the distance of the mean unit vectors of two
    views.

    Args:
        one: (n, D) vectors of one view.
        other: (n, D) vectors of the other view.
    """
    a, b = (m / np.linalg.norm(m, axis=1, keepdims=True).clip(1e-12) for m in (one, other))
    return float(np.linalg.norm(a.mean(0) - b.mean(0)))


def semantic_similarity(classes: np.ndarray, query: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """The cosine of the name embeddings of the query's class and each hit's (Narayana et al., arXiv
    1911.05978, §4).

    Args:
        classes: (M, C) name embeddings of the nodes.
        query: (Q,) nodes of the queries.
        hits: (Q, K) nodes of the hits.

    Returns:
        (Q, K).
    """
    unit = classes / np.linalg.norm(classes, axis=1, keepdims=True).clip(1e-12)
    return np.einsum("qc,qkc->qk", unit[query], unit[hits])
