"""Log-probabilities over the tree, in torch: returned by heads, read by losses.

`aisle.taxonomy.Scores` has the same methods in numpy, for everything else.
"""

from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from aisle.taxonomy import Taxonomy


class TorchScores(Protocol):
    """The output of a head for B products over a tree of N terminals."""

    def nll(self, node: Tensor, exact: Tensor) -> Tensor:
        """(B,) negative log-likelihood of `node` (B,): of exactly this node, or else of its branch."""
        ...

    def level(self, depth: int) -> Tensor:
        """(B, n + 1) log-probabilities of the n nodes of a level (from 1); the last column: ended above."""
        ...

    def topk(self, k: int) -> tuple[Tensor, Tensor]:
        """The k most probable terminals: node indexes (B, k) and log-probabilities (B, k)."""
        ...

    def all(self) -> Tensor:
        """(B, N) log-probabilities."""
        ...

    def __getitem__(self, rows: slice) -> "TorchScores":
        """The scores of some products."""
        ...


class TreeIndex(nn.Module):
    """Index tensors of a tree, as buffers that follow the network to its device.

    They are not saved: saved weights refer to nodes by id, not by index.

    Attributes:
        span: (M, 2) first terminal of each node's branch, and one past the last.
        terminals: (N,) node of each terminal.
        terminal_of: (M,) terminal of each node, -1 if it is none.
        ancestors: (M, L) ancestor of each node on each level, itself included, -1 below it.
        columns: (M, L) the same as a position within the level; the number of its nodes where the path ends
            above.
        on_path: (N, M) sparse, 1 where a node is on the path of a terminal.
    """

    span: Tensor
    terminals: Tensor
    terminal_of: Tensor
    ancestors: Tensor
    columns: Tensor
    on_path: Tensor

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.taxonomy = taxonomy
        ancestors = torch.from_numpy(taxonomy.ancestors)
        self.register_buffer("span", torch.from_numpy(taxonomy.span), persistent=False)  # (M, 2)
        self.register_buffer("terminals", torch.from_numpy(taxonomy.terminals), persistent=False)  # (N,)
        self.register_buffer("terminal_of", torch.from_numpy(taxonomy.terminal_of), persistent=False)
        self.register_buffer("ancestors", ancestors, persistent=False)  # (M, L)
        columns = torch.zeros_like(ancestors)
        for depth in range(1, taxonomy.depth + 1):
            nodes = torch.from_numpy(taxonomy.level(depth))
            column = torch.full((len(taxonomy) + 1,), len(nodes))
            column[nodes] = torch.arange(len(nodes))
            columns[:, depth - 1] = column[ancestors[:, depth - 1]]
        self.register_buffer("columns", columns, persistent=False)  # (M, L)
        path = ancestors[torch.from_numpy(taxonomy.terminals)]  # (N, L)
        row = torch.arange(len(path)).unsqueeze(1).expand_as(path)[path >= 0]
        on_path = torch.sparse_coo_tensor(
            torch.stack([row, path[path >= 0]]),
            torch.ones(len(row)),
            (len(path), len(taxonomy)),
            check_invariants=True,
        )
        self.register_buffer("on_path", on_path.coalesce(), persistent=False)
        self.widths = [len(taxonomy.level(depth)) + 1 for depth in range(1, taxonomy.depth + 1)]

    @property
    def terminal_columns(self) -> Tensor:
        """(N, L) the rows of `columns` of the terminals."""
        return self.columns[self.terminals]


class TreeScores:
    """One softmax over terminals; a node's probability is the sum over its terminals, in log space.

    Args:
        logits: (B, N).
        index: of the tree.
    """

    def __init__(self, logits: Tensor, index: TreeIndex) -> None:
        self.logits = logits
        self.index = index

    @cached_property
    def logp(self) -> Tensor:
        """(B, N) log-probabilities."""
        return self.logits.float().log_softmax(1)

    def __getitem__(self, rows: slice) -> "TreeScores":
        return TreeScores(self.logits[rows], self.index)

    def all(self) -> Tensor:
        """(B, N) log-probabilities."""
        return self.logp

    def nll(self, node: Tensor, exact: Tensor) -> Tensor:
        """(B,) negative log-likelihood of `node` (B,): of exactly this node, or else of its branch."""
        terminal = self.index.terminal_of[node].clamp(min=0)  # (B,)
        likelihood = self.logp.gather(1, terminal.unsqueeze(1)).squeeze(1)
        if exact.all():
            return -likelihood
        start, stop = self.index.span[node].unbind(1)
        order = torch.arange(self.logp.shape[1], device=self.logp.device)
        inside = (order >= start.unsqueeze(1)) & (order < stop.unsqueeze(1))  # (B, N)
        branch = self.logp.masked_fill(~inside, -torch.inf).logsumexp(1)
        return -torch.where(exact, likelihood, branch)

    def level(self, depth: int) -> Tensor:
        """(B, n + 1) log-probabilities of the nodes of a level (from 1); the last column: ended above."""
        column = self.index.terminal_columns[:, depth - 1].expand_as(self.logp)  # (B, N)
        shape = (len(self.logp), self.index.widths[depth - 1])
        peak = self.logp.new_full(shape, -torch.inf).scatter_reduce(1, column, self.logp.detach(), "amax")
        peak = peak.masked_fill(peak.isinf(), 0.0)
        mass = self.logp.new_zeros(shape).scatter_add(1, column, (self.logp - peak.gather(1, column)).exp())
        return mass.log() + peak

    def topk(self, k: int) -> tuple[Tensor, Tensor]:
        """Node indexes (B, k) and log-probabilities (B, k), best first."""
        logp, terminal = self.logp.topk(min(k, self.logp.shape[1]))
        return self.index.terminals[terminal], logp


class LevelScores:
    """A softmax per level, each with a last class for paths that end above it.

    Levels can contradict each other, so they are decoded over paths from root to terminal: the score of a
    path is the sum of the log-probabilities of its levels.

    Args:
        logits: (B, n + 1) of each level.
        index: of the tree.
        weights: weight of each level in `nll`.
    """

    def __init__(self, logits: list[Tensor], index: TreeIndex, weights: list[float]) -> None:
        self.index = index
        self.weights = weights
        self.logits = logits
        self.levels = [level.float().log_softmax(1) for level in logits]

    def __getitem__(self, rows: slice) -> "LevelScores":
        return LevelScores([level[rows] for level in self.logits], self.index, self.weights)

    def level(self, depth: int) -> Tensor:
        """(B, n + 1) log-probabilities of the softmax of a level (from 1)."""
        return self.levels[depth - 1]

    @cached_property
    def logp(self) -> Tensor:
        """(B, N) log-probabilities, normalised over valid paths."""
        columns = self.index.terminal_columns  # (N, L)
        total = sum(level[:, columns[:, i]] for i, level in enumerate(self.levels))
        assert isinstance(total, Tensor)
        return total.log_softmax(1)

    def all(self) -> Tensor:
        """(B, N) log-probabilities."""
        return self.logp

    def nll(self, node: Tensor, exact: Tensor) -> Tensor:
        """(B,) the weighted sum over levels, down to the level of the target's branch if it is not exact."""
        columns = self.index.columns[node]  # (B, L)
        known = (self.index.ancestors[node] >= 0) | exact.unsqueeze(1)  # (B, L)
        losses = [
            -weight * level.gather(1, columns[:, i : i + 1]).squeeze(1) * known[:, i]
            for i, (level, weight) in enumerate(zip(self.levels, self.weights, strict=True))
        ]
        return torch.stack(losses).sum(0)

    def topk(self, k: int) -> tuple[Tensor, Tensor]:
        """Node indexes (B, k) and log-probabilities (B, k) of the best valid paths."""
        logp, terminal = self.logp.topk(min(k, self.logp.shape[1]))
        return self.index.terminals[terminal], logp
