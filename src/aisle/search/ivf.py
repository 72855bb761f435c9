"""An inverted file index of vectors (IVF-flat: Jégou et al., 2011); a query scans the lists of the nearest
centroids.

Shapes: n rows, D the width of a vector, C centroids. All vectors have length 1, so the dot product is the
cosine.
"""

from typing import NamedTuple

import numpy as np

_ROWS_PER_LIST = 400  # on average
_SAMPLE_PER_LIST = 64  # rows that centroids are fitted to
_KMEANS_STEPS = 8
_BATCH_SIZE = 8_192


class InvertedLists(NamedTuple):
    """The lists of an index.

    Attributes:
        centroids: (C, D) unit vectors.
        starts: (C + 1,) rows `starts[c]` to `starts[c + 1]` are nearest to centroid c.
    """

    centroids: np.ndarray
    starts: np.ndarray

    def nearest(self, vector: np.ndarray, count: int) -> np.ndarray:
        """(count,) the lists whose centroids are nearest to a vector (D,)."""
        similarity = self.centroids @ vector
        if count >= len(similarity):
            return np.arange(len(similarity))
        return np.argpartition(-similarity, count)[:count]


def arrange(vectors: np.ndarray) -> tuple[InvertedLists, np.ndarray]:
    """Cluster vectors: spherical k-means (Dhillon & Modha 2001) on a sample, then the nearest list.

    Args:
        vectors: (n, D) of length 1.

    Returns:
        The lists, and the order (n,) to sort the rows in.
    """
    rng = np.random.default_rng(0)
    count = max(1, len(vectors) // _ROWS_PER_LIST)
    rows = rng.choice(len(vectors), min(len(vectors), count * _SAMPLE_PER_LIST), replace=False)
    sample = np.ascontiguousarray(vectors[np.sort(rows)])
    centroids = sample[rng.choice(len(sample), count, replace=False)].copy()
    for _ in range(_KMEANS_STEPS):
        assigned = _assign(sample, centroids)
        order = np.argsort(assigned, kind="stable")
        filled, first = np.unique(assigned[order], return_index=True)
        centroids[filled] = np.add.reduceat(sample[order], first, axis=0)
        # A centroid without rows is moved to a random row.
        empty = np.setdiff1d(np.arange(count), filled)
        centroids[empty] = sample[rng.choice(len(sample), len(empty))]
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True).clip(min=1e-12)
    assigned = _assign(vectors, centroids)
    order = np.argsort(assigned, kind="stable")
    starts = np.searchsorted(assigned[order], np.arange(count + 1))
    return InvertedLists(centroids, starts.astype(np.int64)), order


def _assign(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    assigned = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _BATCH_SIZE):
        assigned[start : start + _BATCH_SIZE] = (vectors[start : start + _BATCH_SIZE] @ centroids.T).argmax(1)
    return assigned
