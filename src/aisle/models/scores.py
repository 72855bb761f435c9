"""Log-probabilities over the tree, in torch: returned by heads, read by losses.

`aisle.taxonomy.Scores` has the same methods in numpy, for everything else.
"""

from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from aisle.taxonomy import Taxonomy


class TorchScores(Protocol):
    """The methods of every head's output. N terminals, B products."""

    def nll(self, node: Tensor, exact: Tensor) -> Tensor:
        """(B,) negative log-likelihood of being exactly at `node` (B,), or in its branch."""
        ...

    def level(self, depth: int) -> Tensor:
        """(B, n + 1) log-probabilities of this level's n nodes, last that the path ended above."""
        ...

    def topk(self, k: int) -> tuple[Tensor, Tensor]:
        """The k most probable terminals: node indexes (B, k) and log-probabilities (B, k)."""
        ...

    def all(self) -> Tensor:
        """(B, N) log-probabilities."""
        ...

    def __getitem__(self, rows: slice) -> "TorchScores":
        """Some products'."""
        ...


class TreeIndex(nn.Module):
    """The tree's index tensors, kept as buffers so that they follow the network to its device.

    They are rebuilt from the tree and never saved: weights carry no numbers of nodes.
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
        columns = torch.full_like(
            ancestors, 0
        )  # each node's ancestor as a column of its level, the last: ended
        for depth in range(1, taxonomy.depth + 1):
            nodes = torch.from_numpy(taxonomy.level(depth))
            column = torch.full((len(taxonomy) + 1,), len(nodes))
            column[nodes] = torch.arange(len(nodes))
            columns[:, depth - 1] = column[ancestors[:, depth - 1]]
        self.register_buffer("columns", columns, persistent=False)  # (M, L)
        # (N, M) which nodes lie on a terminal's path, a few non-zeros a row; a plain tensor would be dense.
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
        """(N, L) the column of each level under which a terminal falls."""
        return self.columns[self.terminals]


class TreeScores:
    """One softmax over terminals; a node's probability is the sum over its range, in log space.

    logits: (B, N). It cannot contradict itself: levels, branches and terminals are sums of one whole.
    """

    def __init__(self, logits: Tensor, index: TreeIndex) -> None:
        self.logits = logits
        self.index = index

    @cached_property
    def logp(self) -> Tensor:
        """(B, N)."""
        return self.logits.float().log_softmax(1)

    def __getitem__(self, rows: slice) -> "TreeScores":
        return TreeScores(self.logits[rows], self.index)

    def all(self) -> Tensor:
        """(B, N) log-probabilities."""
        return self.logp

    def nll(self, node: Tensor, exact: Tensor) -> Tensor:
        """(B,) the terminal's where exact, else the branch's."""
        own = self.index.terminal_of[node].clamp(min=0)  # (B,)
        likelihood = self.logp.gather(1, own.unsqueeze(1)).squeeze(1)
        if exact.all():
            return -likelihood
        start, stop = self.index.span[node].unbind(1)
        order = torch.arange(self.logp.shape[1], device=self.logp.device)
        inside = (order >= start.unsqueeze(1)) & (order < stop.unsqueeze(1))  # (B, N)
        branch = self.logp.masked_fill(~inside, -torch.inf).logsumexp(1)
        return -torch.where(exact, likelihood, branch)

    def level(self, depth: int) -> Tensor:
        """(B, n + 1) log-probabilities of this level's nodes; the last column: ended above."""
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
    """A softmax per level, each with a last class `ended`; these can contradict one another, so they are
    decoded over root-to-terminal paths: a path's score is the sum of its levels' log-probabilities.

    logits: one (B, n_l + 1) a level. weights: what a level's error counts in `nll`.
    """

    def __init__(self, logits: list[Tensor], index: TreeIndex, weights: list[float]) -> None:
        self.index = index
        self.weights = weights
        self.logits = logits
        self.levels = [one.float().log_softmax(1) for one in logits]

    def __getitem__(self, rows: slice) -> "LevelScores":
        return LevelScores([one[rows] for one in self.logits], self.index, self.weights)

    def level(self, depth: int) -> Tensor:
        """(B, n + 1) this level's own log-probabilities, as its classifier gave them."""
        return self.levels[depth - 1]

    @cached_property
    def logp(self) -> Tensor:
        """(B, N) over valid paths alone: the argmax is the most probable valid path."""
        columns = self.index.terminal_columns  # (N, L)
        total = sum(level[:, columns[:, i]] for i, level in enumerate(self.levels))
        assert isinstance(total, Tensor)
        return total.log_softmax(1)

    def all(self) -> Tensor:
        """(B, N) log-probabilities."""
        return self.logp

    def nll(self, node: Tensor, exact: Tensor) -> Tensor:
        """(B,) weighted sum over levels; a target known only to a branch says nothing of the levels below."""
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
