"""Fusion in two levels: related views first, then everything.

Shapes: B products, D the joint width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aisle.models.fusions.pooled import projections
from aisle.models.registry import Encoded, Fusion, Joint

METHODS = ("addition", "average", "concatenation")


class CombineVectors(nn.Module):
    """The sum or mean of vectors, or a linear map of their concatenation.

    Args:
        method: one of `METHODS`.
        count: number of vectors.
        dim: D, the width of each and of the result.
    """

    def __init__(self, method: str, count: int, dim: int) -> None:
        super().__init__()
        self.method = method
        self.join = nn.Linear(count * dim, dim) if method == "concatenation" else None

    def forward(self, vectors: Sequence[Tensor]) -> Tensor:
        """Combine `count` vectors (B, D) into one (B, D)."""
        if self.join is not None:
            return self.join(torch.cat(list(vectors), 1))
        stacked = torch.stack(list(vectors))
        return stacked.sum(0) if self.method == "addition" else stacked.mean(0)


class MultilevelFusion(Fusion):
    """Two levels: first the views of each group are combined, then the groups and the ungrouped views.

    Args:
        dims: width of each view.
        dim: D.
        groups: lists of views, such as title and description; without groups there is one level.
        first: how the views of a group are combined: `addition`, `average` or `concatenation`.
        second: how the groups are combined.
        hidden: width of a hidden layer after the second level, 0 for none.
        dropout: in the projections and between levels.

    Raises:
        ValueError: an unknown method or view, or a view in two groups.
    """

    def __init__(
        self,
        dims: dict[str, int],
        dim: int = 256,
        groups: list[list[str]] | None = None,
        first: str = "average",
        second: str = "concatenation",
        hidden: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        for level, method in (("first", first), ("second", second)):
            if method not in METHODS:
                raise ValueError(f"{level}: {method!r} is none of {', '.join(METHODS)}")
        self.dims, self.dim, self.first, self.second = dims, dim, first, second
        self.hidden, self.dropout = hidden, dropout
        self.groups = [list(group) for group in groups or [] if group]
        grouped = [name for group in self.groups for name in group]
        for name in grouped:
            if name not in dims or grouped.count(name) > 1:
                why = "is no view" if name not in dims else "stands in two places"
                raise ValueError(f"groups: {name!r} {why}; the views are {', '.join(dims)}")
        self.project = projections(dims, dim, dropout=dropout)
        self.one = nn.ModuleList(CombineVectors(first, len(group), dim) for group in self.groups)
        self.ungrouped = [name for name in dims if name not in grouped]
        self.two = CombineVectors(second, len(self.groups) + len(self.ungrouped), dim)
        self.activate = nn.Sequential(nn.GELU(), nn.Dropout(dropout))
        self.after = nn.Sequential()
        if hidden:
            layers = (nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim))
            self.after.extend(layers)

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one vector (B, D)."""
        vectors = {name: self.project[name](view.pooled) for name, view in views.items()}
        level = [
            self.activate(combine([vectors[name] for name in group]))
            for combine, group in zip(self.one, self.groups, strict=True)
        ]
        level += [self.activate(vectors[name]) for name in self.ungrouped]
        return Joint(self.after(self.two(level)))
