"""Vectors in lists around centres; a query looks into the nearest lists (IVF-flat: Jégou et al., PAMI 2011).

D the vectors' width, C centres, n rows. All vectors have length 1, so that the dot product is the cosine.
"""

from typing import NamedTuple

import numpy as np

_A_LIST = 400  # rows a list holds on average
_LEARNED_FROM = 64  # rows a centre is learned from
_ROUNDS = 8
_BLOCK = 8_192


class Lists(NamedTuple):
    """centres (C, D) of length 1; a segment's rows `starts[c]` to `starts[c + 1]` lie nearest to centre c."""

    centres: np.ndarray
    starts: np.ndarray

    def nearest(self, vector: np.ndarray, most: int) -> np.ndarray:
        """(most,) the lists whose centres are nearest to a vector."""
        likeness = self.centres @ vector
        if most >= len(likeness):
            return np.arange(len(likeness))
        return np.argpartition(-likeness, most)[:most]


def arrange(vectors: np.ndarray, seed: int = 0) -> tuple[Lists, np.ndarray]:
    """Lists for vectors (n, D), and the order (n,) in which the rows have to be put for them: spherical
    k-means (Dhillon & Modha 2001) on some rows, then every row to its nearest centre."""
    rng = np.random.default_rng(seed)
    count = max(1, len(vectors) // _A_LIST)
    some = rng.choice(len(vectors), min(len(vectors), count * _LEARNED_FROM), replace=False)
    sample = np.ascontiguousarray(vectors[np.sort(some)])
    centres = sample[rng.choice(len(sample), count, replace=False)].copy()
    for _ in range(_ROUNDS):
        near = _assign(sample, centres)
        order = np.argsort(near, kind="stable")
        filled, first = np.unique(near[order], return_index=True)
        centres[filled] = np.add.reduceat(sample[order], first, axis=0)
        # A centre without rows begins anew at a row drawn by chance.
        empty = np.setdiff1d(np.arange(count), filled)
        centres[empty] = sample[rng.choice(len(sample), len(empty))]
        centres /= np.linalg.norm(centres, axis=1, keepdims=True).clip(min=1e-12)
    near = _assign(vectors, centres)
    order = np.argsort(near, kind="stable")
    starts = np.searchsorted(near[order], np.arange(count + 1))
    return Lists(centres, starts.astype(np.int64)), order


def _assign(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    near = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        near[start : start + _BLOCK] = (vectors[start : start + _BLOCK] @ centres.T).argmax(1)
    return near
