"""Heads: scores over the tree from the joint vector. `__all__` is the list of choices.

A head is constructed with the `Context`, the joint width `dim` and its options. `forward(x, known)`: `x` is
(B, D); `known` is (B,) bool. Rows with `known=False` get the class prior. It returns `TorchScores`.

Shapes: B products, D the joint width, N terminals, M nodes, C the width of the embeddings of category names.
"""

import numpy as np
import torch
from torch import Tensor, nn

from aisle.models.registry import Context
from aisle.models.scores import LevelScores, TreeIndex, TreeScores
from aisle.taxonomy import Taxonomy

__all__ = ["LevelsHead", "TreeHead"]


def log_prior(taxonomy: Taxonomy, counts: np.ndarray) -> Tensor:
    """(N,) log share of each terminal in the training products `counts` (N,), with add-½ smoothing."""
    smoothed = torch.from_numpy(np.asarray(counts, dtype=np.float32)) + 0.5
    return (smoothed / smoothed.sum()).log()


class TreeHead(nn.Module):
    """One softmax over terminals (design rule 1).

    The weight of a terminal is learned plus generated. Learned: the sum of a vector for every node on its
    path, so that siblings share statistical strength. Generated: a linear map of the embedding of its name,
    so that a new node has a weight without examples.

    Args:
        context: the tree, training counts and name embeddings.
        dim: D.
        sharing: whether to sum over the path; otherwise only the terminal has a vector.
        generated: whether to add the generated weight.
        dropout: on the joint vector.
        norm: whether to apply layer norm to the joint vector; without it the head is linear.
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
        """(N, D) the weight of each terminal."""
        terminals = self.index.terminals
        learned = _sparse_mm(self.index.on_path, self.node) if self.sharing else self.node[terminals]
        if self.generated:
            learned = learned + self.generate(self.class_vectors[terminals])
        return learned

    def forward(self, product: Tensor, known: Tensor) -> TreeScores:
        """Score products (B, D); rows with `known` (B,) False get the prior."""
        logits = self.drop(self.standardise(product)) @ self.weight().T + self.bias
        return TreeScores(torch.where(known.unsqueeze(1), logits, self.prior), self.index)

    @torch.no_grad()
    def load_from(self, old: "TreeHead") -> None:
        """Copy the weights of a head for another tree, by node id."""
        new_node, old_node = _common_nodes(self.index.taxonomy, old.index.taxonomy)
        self.node[new_node] = old.node[old_node]
        new_terminal, old_terminal = self.index.terminal_of[new_node], old.index.terminal_of[old_node]
        both = (new_terminal >= 0) & (old_terminal >= 0)
        self.bias[new_terminal[both]] = old.bias[old_terminal[both]]
        self.generate.load_state_dict(old.generate.state_dict())
        self.standardise.load_state_dict(old.standardise.state_dict())


class LevelsHead(nn.Module):
    """A softmax per level, each with a class for paths that end above it; decoded over valid paths.

    The weight of a class is learned plus generated from the embedding of its name, as in `TreeHead`.

    Args:
        context: the tree, training counts and name embeddings.
        dim: D.
        weights: weight of each level in the loss, 1 by default; the last one also applies to all levels
            below.
        dropout: on the joint vector.
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
        """(n + 1, D) the weights of the n classes of a level (0 is the top one); the last: ended above."""
        nodes = torch.from_numpy(self.index.taxonomy.level(level + 1)).to(self.class_vectors.device)
        generated = self.generate(self.class_vectors[nodes])  # (n, D)
        return self.classify[level].weight + nn.functional.pad(generated, (0, 0, 0, 1))  # type: ignore[operator]

    def forward(self, product: Tensor, known: Tensor) -> LevelScores:
        """Score products (B, D); rows with `known` (B,) False get the prior."""
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
        """Copy the weights of a head for another tree, by node id."""
        new_node, old_node = _common_nodes(self.index.taxonomy, old.index.taxonomy)
        depth = torch.from_numpy(self.index.taxonomy.node_depth)
        for classify in self.classify:
            nn.init.zeros_(classify.weight)  # type: ignore[arg-type]
        for level in range(min(len(self.classify), len(old.classify))):
            # A new node takes the weights of a node below it; nodes of this level are copied last.
            for here in (depth[new_node] != level + 1, depth[new_node] == level + 1):
                new_column = self.index.columns[new_node[here], level]
                old_column = old.index.columns[old_node[here], level]
                for name in ("weight", "bias"):
                    new_rows, old_rows = (
                        getattr(self.classify[level], name),
                        getattr(old.classify[level], name),
                    )
                    new_rows[new_column] = old_rows[old_column]
                    new_rows[-1] = old_rows[-1]  # ended above
        self.generate.load_state_dict(old.generate.state_dict())
        self.norm.load_state_dict(old.norm.state_dict())


def _common_nodes(new: Taxonomy, old: Taxonomy) -> tuple[Tensor, Tensor]:
    """The indexes, in each tree, of the nodes that both have by id."""
    pairs = [(i, j) for i, node in enumerate(new.nodes) if (j := old.find(node.id)) is not None]
    return tuple(torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1))  # type: ignore[return-value]


def _sparse_mm(a: Tensor, b: Tensor) -> Tensor:
    """a (N, M) sparse @ b (M, D) in full precision: on CPUs it has no gradient in bfloat16."""
    if not torch.is_autocast_enabled(b.device.type):
        return torch.sparse.mm(a, b)
    with torch.autocast(b.device.type, enabled=False):
        return torch.sparse.mm(a, b)
