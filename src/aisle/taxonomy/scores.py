"""Log-probabilities over a tree, in numpy: what a predictor hands to decisions, metrics and reports.

One softmax over terminals holds everything: a node's probability is the sum over its range of
terminals, taken in log space; no dense terminals-by-nodes matrix is ever made. The network's torch
`Scores` (aisle.models.scores) answers the same questions.
"""

from typing import NamedTuple

import numpy as np

from aisle.taxonomy.tree import Taxonomy


class Targets(NamedTuple):
    """The labels of B products.

    Attributes:
        node: (B,) node indexes, -1 where the label is unknown.
        exact: (B,) bool, whether the label is exactly this node, or some node in its branch.
    """

    node: np.ndarray
    exact: np.ndarray

    def select(self, rows: np.ndarray) -> "Targets":
        """The labels of some rows."""
        return Targets(self.node[rows], self.exact[rows])


class TopK(NamedTuple):
    """The k most probable terminals: `node` (B, k) node indexes, `logp` (B, k), best first."""

    node: np.ndarray
    logp: np.ndarray


class Scores:
    """Log-probabilities of B products over the N terminals of a tree.

    `logp` is (B, N) float, each row's exponentials summing to 1.
    """

    def __init__(self, taxonomy: Taxonomy, logp: np.ndarray) -> None:
        if logp.ndim != 2 or logp.shape[1] != len(taxonomy.terminals):
            raise ValueError(f"logp {logp.shape} does not fit a tree of {len(taxonomy.terminals)} terminals")
        self.taxonomy = taxonomy
        self.logp = logp

    def __len__(self) -> int:
        return len(self.logp)

    def __getitem__(self, rows: slice | np.ndarray) -> "Scores":
        return Scores(self.taxonomy, self.logp[rows])

    def all(self) -> np.ndarray:
        """(B, N) log-probabilities of every terminal."""
        return self.logp

    def nodes(self, nodes: np.ndarray) -> np.ndarray:
        """(B, K) log-probabilities of K nodes that do not overlap and stand in tree order."""
        spans = self.taxonomy.span[nodes]
        padded = np.pad(self.logp, ((0, 0), (0, 1)), constant_values=-np.inf)  # so that a stop may be N
        edges = spans.ravel()
        peak = np.maximum.reduceat(padded, edges, axis=1)[:, ::2]  # (B, K)
        peak = np.where(np.isfinite(peak), peak, 0.0)
        width = spans[:, 1] - spans[:, 0]
        columns = np.concatenate([np.arange(a, b) for a, b in spans]) if len(spans) else np.array([], int)
        mass = np.exp(padded[:, columns] - np.repeat(peak, width, axis=1))
        starts = np.concatenate([[0], np.cumsum(width)[:-1]])
        with np.errstate(divide="ignore"):
            return np.log(np.add.reduceat(mass, starts, axis=1)) + peak

    def node(self, node: np.ndarray) -> np.ndarray:
        """(B,) log-probability of one node a row."""
        spans = self.taxonomy.span[node]
        out = np.empty(len(self), dtype=self.logp.dtype)
        for i, (start, stop) in enumerate(spans):
            out[i] = np.logaddexp.reduce(self.logp[i, start:stop])
        return out

    def level(self, depth: int) -> np.ndarray:
        """(B, n + 1) log-probabilities of the n nodes at this level (1 is the top), and in the last
        column that the path ended above it."""
        here = self.nodes(self.taxonomy.level(depth))
        ended = np.flatnonzero(self.taxonomy.node_depth[self.taxonomy.terminals] < depth)
        if len(ended):
            last = np.logaddexp.reduce(self.logp[:, ended], axis=1, keepdims=True)
        else:
            last = np.full((len(self), 1), -np.inf, dtype=self.logp.dtype)
        return np.concatenate([here, last], 1)

    def topk(self, k: int) -> TopK:
        """The k (at most N) most probable terminals; ties go to the one that comes first in the tree."""
        k = min(k, self.logp.shape[1])
        order = np.empty((len(self), k), dtype=np.int64)
        left = np.maximum(self.logp, -1e30)  # finite, so that what was taken can be told from the impossible
        for rank in range(k):  # k passes are quicker than sorting rows of thousands
            order[:, rank] = left.argmax(1)
            left[np.arange(len(self)), order[:, rank]] = -np.inf
        return TopK(self.taxonomy.terminals[order], np.take_along_axis(self.logp, order, 1))

    def best(self) -> np.ndarray:
        """(B,) the most probable terminal's node."""
        return self.taxonomy.terminals[self.logp.argmax(1)]

    def lineage(self, node: np.ndarray) -> np.ndarray:
        """(B, L) log-probability of each level of the path to `node` (B,); NaN below its end."""
        table = self.taxonomy.ancestors[node]  # (B, L)
        out = np.full(table.shape, np.nan)
        for depth in range(table.shape[1]):
            rows = np.flatnonzero(table[:, depth] >= 0)
            out[rows, depth] = self[rows].node(table[rows, depth])
        return out

    def nll(self, targets: Targets) -> np.ndarray:
        """(B,) negative log-likelihood: the terminal's where exact, else the branch's.

        Raises:
            ValueError: a target is unknown, or exact at a node where products cannot end.
        """
        own = self.taxonomy.terminal_of[targets.node]
        if (targets.node < 0).any() or (own[targets.exact] < 0).any():
            raise ValueError("a target is unknown, or exact where products cannot end")
        exact = self.logp[np.arange(len(self)), np.maximum(own, 0)]
        return -np.where(targets.exact, exact, self.node(targets.node))
