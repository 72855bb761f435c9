"""Inverted lists: vectors around centroids; a query scans the nearest ones (IVF-flat: Jégou et al., 2011).

D the vectors' width, C centroids, n rows. All vectors have length 1, so that the dot product is the cosine.
"""

from typing import NamedTuple

import numpy as np

_A_LIST = 400  # rows a list holds on average
_LEARNED_FROM = 64  # rows a centroid is learned from
_ROUNDS = 8
_BLOCK = 8_192


class InvertedLists(NamedTuple):
    """Centroids (C, D) of length 1; rows `starts[c]` to `starts[c + 1]` are nearest to centroid c."""

    centroids: np.ndarray
    starts: np.ndarray

    def nearest(self, vector: np.ndarray, most: int) -> np.ndarray:
        """(most,) the lists whose centroids are nearest to a vector."""
        likeness = self.centroids @ vector
        if most >= len(likeness):
            return np.arange(len(likeness))
        return np.argpartition(-likeness, most)[:most]


def arrange(vectors: np.ndarray, seed: int = 0) -> tuple[InvertedLists, np.ndarray]:
    """Cluster vectors: spherical k-means (Dhillon & Modha 2001) on a sample, then the nearest list.

    Args:
        vectors: (n, D) of length 1.
        seed: of the sample and the first centroids.

    Returns:
        The lists, and the order (n,) that the rows have to be put in.
    """
    rng = np.random.default_rng(seed)
    count = max(1, len(vectors) // _A_LIST)
    some = rng.choice(len(vectors), min(len(vectors), count * _LEARNED_FROM), replace=False)
    sample = np.ascontiguousarray(vectors[np.sort(some)])
    centroids = sample[rng.choice(len(sample), count, replace=False)].copy()
    for _ in range(_ROUNDS):
        near = _assign(sample, centroids)
        order = np.argsort(near, kind="stable")
        filled, first = np.unique(near[order], return_index=True)
        centroids[filled] = np.add.reduceat(sample[order], first, axis=0)
        # A centroid without rows begins anew at a row drawn by chance.
        empty = np.setdiff1d(np.arange(count), filled)
        centroids[empty] = sample[rng.choice(len(sample), len(empty))]
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True).clip(min=1e-12)
    near = _assign(vectors, centroids)
    order = np.argsort(near, kind="stable")
    starts = np.searchsorted(near[order], np.arange(count + 1))
    return InvertedLists(centroids, starts.astype(np.int64)), order


def _assign(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    near = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        near[start : start + _BLOCK] = (vectors[start : start + _BLOCK] @ centroids.T).argmax(1)
    return near
