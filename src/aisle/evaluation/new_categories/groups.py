"""Groups of products with similar titles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.cluster import AgglomerativeClustering
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from aisle.evaluation.cluster_names import terms

_DIMENSIONS = 40  # of the titles' principal components
_DISTANCE = 0.8  # mean cosine distance of the products of two groups below which they are one
_OUTSIDE = (
    0.1  # share of a group's products that are farther from its centre than products that join it later
)


def title_vectors(titles: Sequence[str], dense: np.ndarray | None = None) -> np.ndarray:
    """(n, D) unit vectors: principal components of the titles' TF-IDF, and embeddings of equal weight.

    Words of the titles themselves count, for a model does not know those of categories that it never saw.

    Args:
        titles: n titles.
        dense: (n, E) embeddings of a pretrained encoder.

    Returns:
        Zeros where a title has no word that another one has, and no embedding.
    """
    parts: list[np.ndarray] = []
    options: dict[str, Any] = {"analyzer": terms, "min_df": 2, "sublinear_tf": True}
    vectorizer = TfidfVectorizer(**options)
    try:
        x = sparse.csr_matrix(vectorizer.fit_transform(titles))
    except ValueError:  # no word occurs twice
        x = sparse.csr_matrix((len(titles), 1))
    n_words = len(vectorizer.vocabulary_) if x.nnz else 0
    if n_words > 1:
        size = min(_DIMENSIONS, n_words - 1)
        parts.append(_unit(TruncatedSVD(size, random_state=0).fit_transform(x)))
    if dense is not None:
        parts.append(_unit(dense - dense.mean(0)))
    return _unit(np.concatenate(parts, 1)) if parts else np.zeros((len(titles), 1))


def group_products(vectors: np.ndarray, candidates: np.ndarray, min_size: int) -> list[np.ndarray]:
    """Group candidates by average linkage of cosine distances; then others join the nearest group.

    Args:
        vectors: (n, D) unit vectors; zeros: in no group.
        candidates: rows that form groups.
        min_size: products of a group at least.

    Returns:
        Rows of each group, those nearest to its centre first.
    """
    has_vector = np.linalg.norm(vectors, axis=1) > 0
    candidates = candidates[has_vector[candidates]]
    if len(candidates) < max(min_size, 2):
        return []
    settings: dict[str, Any] = {
        "n_clusters": None,
        "metric": "cosine",
        "linkage": "average",
        "distance_threshold": _DISTANCE,
    }
    label = AgglomerativeClustering(**settings).fit_predict(vectors[candidates])
    clusters = [candidates[label == k] for k in np.flatnonzero(np.bincount(label) >= min_size)]
    if not clusters:
        return []
    centres = _unit(np.array([vectors[rows].mean(0) for rows in clusters]))
    radius = [
        np.quantile(vectors[rows] @ centre, _OUTSIDE) for rows, centre in zip(clusters, centres, strict=True)
    ]
    others = np.setdiff1d(np.flatnonzero(has_vector), candidates)
    similarity = vectors[others] @ centres.T
    nearest = similarity.argmax(1) if len(others) else np.zeros(0, np.int64)
    groups = []
    for k, rows in enumerate(clusters):
        joins = others[(nearest == k) & (similarity[:, k] >= radius[k])]
        rows = np.append(rows, joins)
        groups.append(rows[np.argsort(-(vectors[rows] @ centres[k]), kind="stable")])
    return groups


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors at length 1; zeros stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
