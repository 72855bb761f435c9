"""From the joint vector to scores over the tree. `__all__` is the list of choices.

A head is constructed with the `Context` and the joint width. Called with products (B, D) and which of
them anything is known of (B,), it returns `TorchScores`; where nothing is known, those of the prior.
"""

import numpy as np
import torch
from torch import Tensor, nn

from aisle.models.registry import Context
from aisle.models.scores import LevelScores, TreeIndex, TreeScores
from aisle.taxonomy import Taxonomy

__all__ = ["LevelsHead", "TreeHead"]


def log_prior(taxonomy: Taxonomy, counts: np.ndarray) -> Tensor:
    """(N,) log of each terminal's share of the training products, half a product added to each."""
    smoothed = torch.from_numpy(np.asarray(counts, dtype=np.float32)) + 0.5
    return (smoothed / smoothed.sum()).log()


class TreeHead(nn.Module):
    """One softmax over terminals (design rule 1).

    A terminal's weight is learned plus generated: the sum of a learned vector for every node on its
    path (so that siblings share what their branch knows; `sharing=False`: for the terminal alone) and a
    linear map of the embedding of its name (so that a new node has an answer before it has examples).
    norm: standardise the joint vector first; without it the head is linear.
    """

    prior: Tensor
    class_vectors: Tensor

    def __init__(
        self,
        context: Context,
        dim: int,
        sharing: bool = True,
        generated: bool = True,
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.dim, self.sharing, self.generated, self.dropout = dim, sharing, generated, dropout
        self.norm = norm
        tree = context.taxonomy
        self.index = TreeIndex(tree)
        self.node = nn.Parameter(torch.zeros(len(tree), dim))  # (M, D)
        self.bias = nn.Parameter(log_prior(tree, context.counts))  # (N,)
        self.register_buffer("prior", log_prior(tree, context.counts))
        vectors = torch.from_numpy(np.asarray(context.class_vectors, dtype=np.float32))
        self.register_buffer("class_vectors", vectors)  # (M, C)
        self.generate = nn.Linear(vectors.shape[1], dim, bias=False)
        nn.init.zeros_(self.generate.weight)
        self.standardise = nn.LayerNorm(dim) if norm else nn.Identity()
        self.drop = nn.Dropout(dropout)

    def weight(self) -> Tensor:
        """(N, D) every terminal's weight."""
        terminals = self.index.terminals
        learned = _sparse_mm(self.index.on_path, self.node) if self.sharing else self.node[terminals]
        if self.generated:
            learned = learned + self.generate(self.class_vectors[terminals])
        return learned

    def forward(self, product: Tensor, known: Tensor) -> TreeScores:
        """product (B, D), known (B,) bool -> scores."""
        logits = self.drop(self.standardise(product)) @ self.weight().T + self.bias
        return TreeScores(torch.where(known.unsqueeze(1), logits, self.prior), self.index)

    @torch.no_grad()
    def load_from(self, old: "TreeHead") -> None:
        """Take over what another tree's head has learned: rows by id, shared weights as they are."""
        mine, theirs = _common(self.index.taxonomy, old.index.taxonomy)
        self.node[mine] = old.node[theirs]
        own, other = self.index.terminal_of[mine], old.index.terminal_of[theirs]
        both = (own >= 0) & (other >= 0)
        self.bias[own[both]] = old.bias[other[both]]
        self.generate.load_state_dict(old.generate.state_dict())
        self.standardise.load_state_dict(old.standardise.state_dict())


class LevelsHead(nn.Module):
    """A softmax per level, each with a class for paths that ended above; decoded over valid paths.

    A class's weight is learned plus generated from the embedding of its name, as `TreeHead`'s.
    weights: what each level counts in the likelihood, 1 by default; the last one counts for all below too.
    """

    class_vectors: Tensor

    def __init__(
        self, context: Context, dim: int, weights: list[float] | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dim, self.dropout = dim, dropout
        tree = context.taxonomy
        self.index = TreeIndex(tree)
        self.weights = list(weights) if weights else [1.0]
        self.weights = (self.weights + self.weights[-1:] * tree.depth)[: tree.depth]
        self.norm = nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)
        vectors = torch.from_numpy(np.asarray(context.class_vectors, dtype=np.float32))
        self.register_buffer("class_vectors", vectors)  # (M, C)
        self.generate = nn.Linear(vectors.shape[1], dim, bias=False)
        nn.init.zeros_(self.generate.weight)
        self.classify = nn.ModuleList(nn.Linear(dim, width) for width in self.index.widths)
        prior = TreeScores(log_prior(tree, context.counts).unsqueeze(0), self.index)
        for i in range(tree.depth):
            self.register_buffer(f"prior{i}", prior.level(i + 1)[0].clamp(min=-30.0))
        self._start_at_prior()

    @torch.no_grad()
    def _start_at_prior(self) -> None:
        for i, classify in enumerate(self.classify):
            classify.bias.copy_(getattr(self, f"prior{i}"))  # type: ignore[operator, union-attr]

    def weight(self, level: int) -> Tensor:
        """(n + 1, D) the weights of a level's classes (0: the top one), the last: ended above."""
        nodes = torch.from_numpy(self.index.taxonomy.level(level + 1)).to(self.class_vectors.device)
        generated = self.generate(self.class_vectors[nodes])  # (n, D)
        return self.classify[level].weight + nn.functional.pad(generated, (0, 0, 0, 1))  # type: ignore[operator]

    def forward(self, product: Tensor, known: Tensor) -> LevelScores:
        """product (B, D), known (B,) bool -> scores."""
        x = self.drop(self.norm(product))
        logits = [
            torch.where(
                known.unsqueeze(1),
                nn.functional.linear(x, self.weight(i), classify.bias),  # type: ignore[arg-type]
                getattr(self, f"prior{i}"),
            )
            for i, classify in enumerate(self.classify)
        ]
        return LevelScores(logits, self.index, self.weights)

    @torch.no_grad()
    def load_from(self, old: "LevelsHead") -> None:
        """Take over what another tree's head has learned: rows by id, shared weights as they are."""
        mine, theirs = _common(self.index.taxonomy, old.index.taxonomy)
        depth = torch.from_numpy(self.index.taxonomy.node_depth)
        for classify in self.classify:
            nn.init.zeros_(classify.weight)  # type: ignore[arg-type]
        for level in range(min(len(self.classify), len(old.classify))):
            # What is known of nodes below stands in for a new node above them; own rows go last.
            for here in (depth[mine] != level + 1, depth[mine] == level + 1):
                own, other = self.index.columns[mine[here], level], old.index.columns[theirs[here], level]
                for tensor in ("weight", "bias"):
                    new, known = getattr(self.classify[level], tensor), getattr(old.classify[level], tensor)
                    new[own] = known[other]
                    new[-1] = known[-1]  # ended above
        self.generate.load_state_dict(old.generate.state_dict())
        self.norm.load_state_dict(old.norm.state_dict())


def _common(new: Taxonomy, old: Taxonomy) -> tuple[Tensor, Tensor]:
    """The nodes that two trees share by id: their indexes in each."""
    pairs = [(i, j) for i, node in enumerate(new.nodes) if (j := old.find(node.id)) is not None]
    return tuple(torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1))  # type: ignore[return-value]


def _sparse_mm(a: Tensor, b: Tensor) -> Tensor:
    """a (N, M) sparse, b (M, D) -> (N, D), in full precision: its gradient in bfloat16 is missing on CPUs."""
    if not torch.is_autocast_enabled(b.device.type):
        return torch.sparse.mm(a, b)
    with torch.autocast(b.device.type, enabled=False):
        return torch.sparse.mm(a, b)
