"""Fusion in two levels: related views first, then everything.

Shapes: B products, D the joint width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aisle.models.fusions.pooled import projections
from aisle.models.registry import Encoded, Fusion, Joint

MEANS = ("addition", "average", "concatenation")


class Combine(nn.Module):
    """Some vectors of width D to one: their sum, their mean, or a linear map of them side by side."""

    def __init__(self, how: str, count: int, dim: int) -> None:
        super().__init__()
        self.how = how
        self.join = nn.Linear(count * dim, dim) if how == "concatenation" else None

    def forward(self, vectors: Sequence[Tensor]) -> Tensor:
        """(B, D) each -> (B, D)."""
        if self.join is not None:
            return self.join(torch.cat(list(vectors), 1))
        stacked = torch.stack(list(vectors))
        return stacked.sum(0) if self.how == "addition" else stacked.mean(0)


class MultilevelFusion(Fusion):
    """Two levels: the views of each group are combined first, then the groups with the views of none.

    groups: lists of views, such as title and description as one encoder reads them; without groups this is
    the one-level baseline. first, second: how each level combines, by addition, average or concatenation.
    """

    def __init__(
        self,
        dims: dict[str, int],
        dim: int = 256,
        groups: list[list[str]] | None = None,
        first: str = "average",
        second: str = "concatenation",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        for level, how in (("first", first), ("second", second)):
            if how not in MEANS:
                raise ValueError(f"{level}: {how!r} is none of {', '.join(MEANS)}")
        self.dims, self.dim, self.first, self.second, self.dropout = dims, dim, first, second, dropout
        self.groups = [list(group) for group in groups or [] if group]
        named = [name for group in self.groups for name in group]
        for name in named:
            if name not in dims or named.count(name) > 1:
                why = "is no view" if name not in dims else "stands in two places"
                raise ValueError(f"groups: {name!r} {why}; the views are {', '.join(dims)}")
        self.project = projections(dims, dim, dropout=dropout)
        self.one = nn.ModuleList(Combine(first, len(group), dim) for group in self.groups)
        self.alone = [name for name in dims if name not in named]
        self.two = Combine(second, len(self.groups) + len(self.alone), dim)
        self.activate = nn.Sequential(nn.GELU(), nn.Dropout(dropout))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D)."""
        vectors = {name: self.project[name](view.pooled) for name, view in views.items()}
        level = [
            self.activate(combine([vectors[name] for name in group]))
            for combine, group in zip(self.one, self.groups, strict=True)
        ]
        level += [self.activate(vectors[name]) for name in self.alone]
        return Joint(self.two(level))
