"""Acceptable categories, and the one label that each prediction is compared with.

A product has one or more acceptable categories. A correct prediction is compared with the category it fits;
a wrong one with the category that shares the most levels (on ties the primary one). After that choice each
product has one label.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from aisle.taxonomy import Scores, Targets, Taxonomy


@dataclass(frozen=True)
class MatchedPredictions:
    """B predictions and the label that each is compared with.

    predicted: (B,) the predicted nodes.
    node, exact: (B,) the label each is compared with.
    right: (B,) the predicted place is the label, or lies in its branch where no more is known.
    shared: (B,) the number of levels, from the top, on which prediction and label agree.
    """

    taxonomy: Taxonomy
    predicted: np.ndarray
    node: np.ndarray
    exact: np.ndarray
    right: np.ndarray
    shared: np.ndarray

    @property
    def strict(self) -> np.ndarray:
        """(B,) the predicted path is the label's path, to the letter."""
        return np.equal(self.predicted, self.node)

    @property
    def answer(self) -> np.ndarray:
        """(B,) the predicted place, taken back to the label's branch where that is all that is known."""
        return np.where(self.right, self.node, self.predicted)

    def __len__(self) -> int:
        return len(self.node)

    def __getitem__(self, rows: slice | np.ndarray) -> "MatchedPredictions":
        kept = (getattr(self, field.name)[rows] for field in fields(self)[1:])
        return MatchedPredictions(self.taxonomy, *kept)


@dataclass(frozen=True)
class Truth:
    """Acceptable categories of B products, at most A each: `node` (B, A), -1 where there is none, the
    primary first; `exact` (B, A), as in `Targets`.

    Raises:
        ValueError: a product has no acceptable category, or the arrays do not fit each other.
    """

    taxonomy: Taxonomy
    node: np.ndarray
    exact: np.ndarray

    def __post_init__(self) -> None:
        if self.node.ndim != 2 or self.node.shape != self.exact.shape or not self.node.shape[1]:
            raise ValueError(f"node {self.node.shape} and exact {self.exact.shape} must both be (B, A)")
        if (self.node[:, 0] < 0).any():
            raise ValueError("a product has no acceptable category: leave unlabelled products out")

    @classmethod
    def of(cls, taxonomy: Taxonomy, targets: Targets, also: Sequence[Sequence[int]] = ()) -> "Truth":
        """From primary `targets` (B,) and, a row each, the nodes `also` acceptable.

        A further place is exact where products may end there, else it stands for its branch.
        """
        width = 1 + max((len(more) for more in also), default=0)
        node = np.full((len(targets.node), width), -1, dtype=np.int64)
        exact = np.zeros(node.shape, dtype=bool)
        node[:, 0], exact[:, 0] = targets.node, targets.exact
        for row, more in enumerate(also):
            node[row, 1 : 1 + len(more)] = more
            exact[row, 1 : 1 + len(more)] = taxonomy.terminal_of[np.array(more, dtype=np.int64)] >= 0
        return cls(taxonomy, node, exact)

    def __len__(self) -> int:
        return len(self.node)

    def __getitem__(self, rows: slice | np.ndarray) -> "Truth":
        return Truth(self.taxonomy, self.node[rows], self.exact[rows])

    def judge(self, predicted: np.ndarray) -> MatchedPredictions:
        """Choose for each of the `predicted` nodes (B,) the label it is judged against."""
        shared = self._shared(predicted[:, None])  # (B, A)
        right = self._fits(predicted[:, None], shared)
        chosen = np.argmax(shared + right * (self.taxonomy.depth + 1), axis=1)
        pick = (np.arange(len(self)), chosen)
        return MatchedPredictions(
            self.taxonomy, predicted, self.node[pick], self.exact[pick], right[pick], shared[pick]
        )

    def hits(self, predicted: np.ndarray) -> np.ndarray:
        """(B, K) which of K predicted nodes (B, K) fit any acceptable place; -1 fits none."""
        columns = [predicted[:, k, None] for k in range(predicted.shape[1])]
        return np.stack([self._fits(c, self._shared(c)).any(1) for c in columns], 1)

    def nll(self, scores: Scores) -> np.ndarray:
        """(B,) negative log of the probability of being right: of the union of acceptable places.

        Infinite where none of them can be answered.
        """
        own = self.taxonomy.terminal_of[self.node]  # (B, A)
        logp = np.full(self.node.shape, -np.inf)
        for a in range(self.node.shape[1]):
            rows = np.flatnonzero(self._counted[:, a] & self.exact[:, a] & (own[:, a] >= 0))
            logp[rows, a] = scores.all()[rows, own[rows, a]]
            rows = np.flatnonzero(self._counted[:, a] & ~self.exact[:, a])
            logp[rows, a] = scores[rows].node(self.node[rows, a])
        return -np.logaddexp.reduce(logp, axis=1)

    @property
    def _counted(self) -> np.ndarray:
        """(B, A) acceptable places not already inside another one of the same product."""
        counted = self.node >= 0
        for a in range(self.node.shape[1]):
            for b in range(self.node.shape[1]):
                if a == b:
                    continue
                same = (self.node[:, a] == self.node[:, b]) & (self.exact[:, a] == self.exact[:, b])
                inside = self._inside(a, b) & ~self.exact[:, b] & ~same
                counted[:, a] &= ~((self.node[:, b] >= 0) & (inside | (same & (b < a))))
        return counted

    def _inside(self, a: int, b: int) -> np.ndarray:
        """(B,) place a is place b, or lies below it."""
        depth = self.taxonomy.node_depth[self.node[:, b]]
        return self.taxonomy.ancestors[self.node[:, a], depth - 1] == self.node[:, b]

    def _shared(self, predicted: np.ndarray) -> np.ndarray:
        """(B, A) levels that predicted (B, 1) and each acceptable place have in common."""
        of_label = self.taxonomy.ancestors[self.node]  # (B, A, L)
        agree = (of_label == self.taxonomy.ancestors[predicted]) & (of_label >= 0)
        return np.where(self.node >= 0, agree.sum(2), -1)

    def _fits(self, predicted: np.ndarray, shared: np.ndarray) -> np.ndarray:
        """(B, A) the predicted node (B, 1) is this place, or lies in this branch."""
        reached = shared == self.taxonomy.node_depth[self.node]
        return (self.node >= 0) & (predicted >= 0) & reached & ((self.node == predicted) | ~self.exact)
