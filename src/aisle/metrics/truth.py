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
    """B predictions, and the label that each is compared with.

    Attributes:
        taxonomy: the tree.
        predicted: (B,) predicted nodes.
        node: (B,) nodes of the labels.
        exact: (B,) bool, whether the label is exactly this node, or some node in its branch.
        right: (B,) bool, whether the prediction is the label, or in its branch where it is not exact.
        shared: (B,) number of levels, from the top, on which prediction and label agree.
    """

    taxonomy: Taxonomy
    predicted: np.ndarray
    node: np.ndarray
    exact: np.ndarray
    right: np.ndarray
    shared: np.ndarray

    @property
    def strict(self) -> np.ndarray:
        """(B,) bool, whether the predicted path equals the label's path."""
        return np.equal(self.predicted, self.node)

    @property
    def answer(self) -> np.ndarray:
        """(B,) the predicted nodes; those in the branch of a label that is not exact become that branch."""
        return np.where(self.right, self.node, self.predicted)

    def __len__(self) -> int:
        return len(self.node)

    def __getitem__(self, rows: slice | np.ndarray) -> "MatchedPredictions":
        kept = (getattr(self, field.name)[rows] for field in fields(self)[1:])
        return MatchedPredictions(self.taxonomy, *kept)


@dataclass(frozen=True)
class Truth:
    """Acceptable categories of B products, at most A each.

    Attributes:
        taxonomy: the tree.
        node: (B, A) node indexes, the primary category first, -1 where there is none.
        exact: (B, A) bool, as in `Targets`.

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
        """Combine primary labels with further acceptable categories.

        Args:
            taxonomy: the tree.
            targets: B primary labels.
            also: further acceptable nodes of each product; a node that is no terminal stands for its branch.
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

    def match(self, predicted: np.ndarray) -> MatchedPredictions:
        """Choose the label that each of the predicted nodes (B,) is compared with."""
        shared = self._shared(predicted[:, None])  # (B, A)
        right = self._fits(predicted[:, None], shared)
        chosen = np.argmax(shared + right * (self.taxonomy.depth + 1), axis=1)
        at = (np.arange(len(self)), chosen)
        return MatchedPredictions(
            self.taxonomy, predicted, self.node[at], self.exact[at], right[at], shared[at]
        )

    def hits(self, predicted: np.ndarray) -> np.ndarray:
        """(B, K) bool, which of K predicted nodes (B, K) match an acceptable category; -1 matches none."""
        columns = [predicted[:, k, None] for k in range(predicted.shape[1])]
        return np.stack([self._fits(c, self._shared(c)).any(1) for c in columns], 1)

    def nll(self, scores: Scores) -> np.ndarray:
        """(B,) negative log-probability of the union of the acceptable categories.

        Infinite where none of them can be predicted.
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
        """(B, A) bool, acceptable categories that are not in another one of the same product."""
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
        """(B,) bool, whether acceptable category a is b, or below it."""
        depth = self.taxonomy.node_depth[self.node[:, b]]
        return self.taxonomy.ancestors[self.node[:, a], depth - 1] == self.node[:, b]

    def _shared(self, predicted: np.ndarray) -> np.ndarray:
        """(B, A) number of levels that predicted nodes (B, 1) share with each acceptable category."""
        of_label = self.taxonomy.ancestors[self.node]  # (B, A, L)
        agree = (of_label == self.taxonomy.ancestors[predicted]) & (of_label >= 0)
        return np.where(self.node >= 0, agree.sum(2), -1)

    def _fits(self, predicted: np.ndarray, shared: np.ndarray) -> np.ndarray:
        """(B, A) bool, whether the predicted node (B, 1) is this category, or in its branch if it is not
        exact.
        """
        reached = shared == self.taxonomy.node_depth[self.node]
        return (self.node >= 0) & (predicted >= 0) & reached & ((self.node == predicted) | ~self.exact)
