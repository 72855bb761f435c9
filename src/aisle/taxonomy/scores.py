"""Log-probabilities over a tree, in numpy; the input of decisions, metrics and reports.

There is one softmax over terminals. A node's probability is the sum over its range of terminals, in log
space, without a dense terminals-by-nodes matrix. `TorchScores` (`aisle.models.scores`) has the same methods
in torch.

Shapes: B products, N terminals, M nodes, L levels.
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
    """The k most probable terminals, best first.

    Attributes:
        node: (B, k) node indexes.
        logp: (B, k) log-probabilities.
    """

    node: np.ndarray
    logp: np.ndarray


class Scores:
    """Log-probabilities of B products over the N terminals of a tree.

    Args:
        taxonomy: the tree.
        logp: (B, N) log-probabilities; the probabilities of a row sum to 1.

    Raises:
        ValueError: `logp` does not fit the tree.
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
        """(B, K) log-probabilities of K nodes that do not overlap, in tree order."""
        spans = self.taxonomy.span[nodes]
        padded = np.pad(self.logp, ((0, 0), (0, 1)), constant_values=-np.inf)  # a stop may be N
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
        """(B,) log-probability of one node per product, `node` (B,)."""
        spans = self.taxonomy.span[node]
        out = np.empty(len(self), dtype=self.logp.dtype)
        for i, (start, stop) in enumerate(spans):
            out[i] = np.logaddexp.reduce(self.logp[i, start:stop])
        return out

    def level(self, depth: int) -> np.ndarray:
        """(B, n + 1) log-probabilities of the n nodes of a level (from 1); the last column: ended above."""
        at_level = self.nodes(self.taxonomy.level(depth))
        shorter = np.flatnonzero(self.taxonomy.node_depth[self.taxonomy.terminals] < depth)
        if len(shorter):
            last = np.logaddexp.reduce(self.logp[:, shorter], axis=1, keepdims=True)
        else:
            last = np.full((len(self), 1), -np.inf, dtype=self.logp.dtype)
        return np.concatenate([at_level, last], 1)

    def topk(self, k: int) -> TopK:
        """The k (at most N) most probable terminals; of equal ones, the first in the tree."""
        k = min(k, self.logp.shape[1])
        order = np.empty((len(self), k), dtype=np.int64)
        rest = np.maximum(self.logp, -1e30)  # finite: -inf marks the terminals chosen already
        for rank in range(k):  # faster than sorting rows of thousands
            order[:, rank] = rest.argmax(1)
            rest[np.arange(len(self)), order[:, rank]] = -np.inf
        return TopK(self.taxonomy.terminals[order], np.take_along_axis(self.logp, order, 1))

    def best(self) -> np.ndarray:
        """(B,) the node of the most probable terminal."""
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
        """(B,) negative log-likelihood of labels: of the terminal where exact, else of the branch.

        Raises:
            ValueError: a label is unknown, or exact at a node that is no terminal.
        """
        terminal = self.taxonomy.terminal_of[targets.node]
        if (targets.node < 0).any() or (terminal[targets.exact] < 0).any():
            raise ValueError("a target is unknown, or exact where products cannot end")
        exact = self.logp[np.arange(len(self)), np.maximum(terminal, 0)]
        return -np.where(targets.exact, exact, self.node(targets.node))
