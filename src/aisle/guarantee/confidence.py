"""One calibrated confidence for every category: predictions, alternatives, suggestions and reports show it.

A network's log-probabilities are calibrated first. Where the policy knows neighbors, they change how sure
the best path is, level by level; every other category keeps its share of what is left (Jeffrey's rule): the
mass that a level of the best path loses goes to the rest of its parent, in proportion to what each had. No
category gets more than the best path's, because neighbors say nothing about which other category is right.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np

from aisle.guarantee.calibration import blocks
from aisle.guarantee.path_confidence import Descent
from aisle.taxonomy import Scores, Taxonomy

_SMALLEST = 1e-9  # mass beside the best path below which a difference of probabilities is rounding
_BELOW = 1e-5  # how far below the best path's log-confidence every other category's stays at least


class Confidences(Scores):
    """Log-confidences of B products over the N terminals of a tree, and of each one's best path.

    `logp` is (B, N); a row's exponentials sum to 1, or to less where neighbors speak against the best path
    and nothing tells where else the product belongs. `path`: the way to the highest one, and the confidence
    of each of its levels, exactly as a prediction has them.
    """

    def __init__(self, taxonomy: Taxonomy, logp: np.ndarray, path: Descent) -> None:
        super().__init__(taxonomy, logp)
        self.path = path

    @classmethod
    def of(cls, calibrated: Scores, before: Descent, after: Descent) -> Self:
        """before: the way down by calibrated scores alone; after: the same with what neighbors say."""
        if after is before:
            return cls(calibrated.taxonomy, calibrated.logp, before)
        out = np.empty_like(calibrated.logp)
        for rows in blocks(len(out), out.shape[1]):
            parts = (Descent(*(part[rows] for part in path)) for path in (before, after))
            out[rows] = _shared_out(calibrated[rows], *parts)
        return cls(calibrated.taxonomy, out, after)

    @classmethod
    def join(cls, taxonomy: Taxonomy, parts: Sequence["Confidences"]) -> Self:
        """All rows of some parts, in order."""
        logp = np.concatenate([np.zeros((0, len(taxonomy.terminals)), np.float32), *(p.logp for p in parts)])
        levels = taxonomy.ancestors.shape[1]
        empty = Descent(
            np.zeros(0, np.int64),
            np.zeros((0, levels), np.int64),
            np.zeros((0, levels)),
            np.zeros(0, np.int64),
        )
        paths = [empty, *(p.path for p in parts)]
        return cls(
            taxonomy, logp, Descent(*(np.concatenate(columns) for columns in zip(*paths, strict=True)))
        )

    def __getitem__(self, rows: slice | np.ndarray) -> Self:
        return type(self)(self.taxonomy, self.logp[rows], Descent(*(part[rows] for part in self.path)))

    def nodes(self, nodes: np.ndarray) -> np.ndarray:
        """(B, K) log-confidences of K nodes that do not overlap and stand in tree order."""
        out = super().nodes(nodes)
        column = np.full(len(self.taxonomy) + 1, -1)  # the last entry answers for node -1
        column[nodes] = np.arange(len(nodes))
        rows, levels = np.nonzero(self._branch(column[self.path.nodes] >= 0))
        out[rows, column[self.path.nodes[rows, levels]]] = np.log(self.path.confidence[rows, levels])
        return out

    def node(self, node: np.ndarray) -> np.ndarray:
        """(B,) log-confidence of one node a row: of a branch with all that is in it."""
        out = super().node(node)
        rows, levels = np.nonzero(self._branch(self.path.nodes == node[:, None]))
        out[rows] = np.log(self.path.confidence[rows, levels])
        return out

    def place(self, node: int) -> np.ndarray:
        """(B,) log-confidence that products belong at a node: exactly there where products can end there,
        else somewhere in its branch."""
        terminal = int(self.taxonomy.terminal_of[node])
        if terminal >= 0:
            return self.logp[:, terminal]
        return self.node(np.full(len(self), node))

    def lineage(self, node: np.ndarray) -> np.ndarray:
        """(B, L) log-confidence of each level of the path to `node` (B,), a terminal's own at its end."""
        out = super().lineage(node)
        terminal, every = self.taxonomy.terminal_of[node], np.arange(len(node))
        ends = np.flatnonzero(terminal >= 0)
        depth = self.taxonomy.node_depth[node]
        out[ends, depth[ends] - 1] = self.logp[every[ends], terminal[ends]]
        return out

    def over(self, taxonomy: Taxonomy, node: np.ndarray) -> "Confidences":
        """The same over a wider tree. node: (M,) where each node of this tree is in the other."""
        logp = np.full((len(self), len(taxonomy.terminals)), -np.inf, dtype=self.logp.dtype)
        logp[:, taxonomy.terminal_of[node[self.taxonomy.terminals]]] = self.logp
        best = node[self.path.best]
        levels = taxonomy.ancestors.shape[1]
        confidence = np.full((len(self), levels), np.nan)
        confidence[:, : self.path.confidence.shape[1]] = self.path.confidence
        return Confidences(
            taxonomy, logp, Descent(best, taxonomy.ancestors[best], confidence, taxonomy.node_depth[best])
        )

    def _branch(self, there: np.ndarray) -> np.ndarray:
        """(B, L) of those levels of the best path the ones that are branches: above its end."""
        return there & (np.arange(there.shape[1]) < (self.path.depth - 1)[:, None])


def _shared_out(calibrated: Scores, before: Descent, after: Descent) -> np.ndarray:
    """(B, N) log-confidences: the best path's as it is `after`, all others in the proportions of `before`."""
    taxonomy, logp = calibrated.taxonomy, calibrated.logp
    every, last = np.arange(len(logp)), before.depth - 1
    own = taxonomy.terminal_of[before.best]
    factors = _log_factors(before, after)
    # What float32 loses when it sums to 1 would come back as confidence.
    factors -= (logp[every, own] - np.log(before.confidence[every, last]))[:, None]
    out = np.empty_like(logp)
    spans = taxonomy.span[before.nodes].tolist()
    rows = zip(out, logp, factors.astype(logp.dtype), spans, last.tolist(), strict=True)
    for row, given, factor, span, ends in rows:  # slices are quicker than to look up each terminal's factor
        np.add(given, factor[0], out=row)
        for level in range(ends):
            start, stop = span[level]
            np.add(given[start:stop], factor[level + 1], out=row[start:stop])
    out[every, own] = -np.inf
    best = np.log(after.confidence[every, last])
    excess = out.max(1) - (best - _BELOW)
    above = np.flatnonzero(excess > 0)
    out[above] -= excess[above, None].astype(out.dtype)
    out[every, own] = best
    return out


def _log_factors(before: Descent, after: Descent) -> np.ndarray:
    """(B, L) by what the log-confidence of a terminal changes that shares so many branches with the path."""
    ones = np.ones((len(before.best), 1))
    lost = [-np.diff(np.concatenate([ones, path.confidence], 1)) for path in (before, after)]
    had, has = (np.maximum(np.nan_to_num(mass, nan=0.0), 0.0) for mass in lost)
    factor = has / np.maximum(had, _SMALLEST)
    factor = np.where(had > _SMALLEST, factor, np.minimum(factor, 1.0))
    with np.errstate(divide="ignore"):
        return np.log(factor)
