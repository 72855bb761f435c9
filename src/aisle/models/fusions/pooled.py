"""Fusions of one vector a view: averages, gates, sums.

Shapes: B products, V views, D the joint width.
"""

import torch
from torch import Tensor, nn

from aisle.models.registry import Encoded, Fusion, Joint


class Project(nn.Module):
    """One view into the joint width: standardised features, a linear map, optionally a hidden layer.

    Views differ in scale by orders of magnitude; without a norm the largest one drowns the others.
    """

    def __init__(self, width: int, dim: int, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.LayerNorm(width)]
        if hidden:
            layers += [nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim)]
        else:
            layers += [nn.Dropout(dropout), nn.Linear(width, dim)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) -> (B, dim)."""
        return self.layers(x)


def projections(dims: dict[str, int], dim: int, hidden: int = 0, dropout: float = 0.0) -> nn.ModuleDict:
    """A `Project` a view."""
    return nn.ModuleDict({name: Project(width, dim, hidden, dropout) for name, width in dims.items()})


class AverageFusion(Fusion):
    """A learned average: each view in one shared space, weighted by a softmax over V learned numbers."""

    def __init__(self, dims: dict[str, int], dim: int = 256, hidden: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.dims, self.dim, self.hidden, self.dropout = dims, dim, hidden, dropout
        self.project = projections(dims, dim, hidden, dropout)
        self.weight = nn.Parameter(torch.zeros(len(dims)))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D)."""
        shared = {name: self.project[name](view.pooled) for name, view in views.items()}
        share = self.weight.softmax(0)  # (V,)
        return Joint((torch.stack(list(shared.values()), -1) * share).sum(-1), shared)  # (B, D)


class ConcatFusion(Fusion):
    """Views side by side, then one linear map back to D."""

    def __init__(self, dims: dict[str, int], dim: int = 256, hidden: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.dims, self.dim, self.hidden, self.dropout = dims, dim, hidden, dropout
        self.project = projections(dims, dim, hidden, dropout)
        self.join = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(dim * len(dims), dim))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D)."""
        beside = torch.cat([self.project[name](view.pooled) for name, view in views.items()], 1)  # (B, V*D)
        return Joint(self.join(beside))


class GatedFusion(Fusion):
    """Let each feature choose how much of every view to take (cf. Arevalo et al., arXiv 1702.01992)."""

    def __init__(self, dims: dict[str, int], dim: int = 256, hidden: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.dims, self.dim, self.hidden, self.dropout = dims, dim, hidden, dropout
        self.project = projections(dims, dim, hidden, dropout)
        self.gate = nn.Linear(dim * len(dims), dim * len(dims))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D)."""
        shared = {name: self.project[name](view.pooled) for name, view in views.items()}
        stacked = torch.stack(list(shared.values()), 1)  # (B, V, D)
        share = self.gate(stacked.flatten(1)).view_as(stacked).softmax(1)  # (B, V, D)
        return Joint((share * stacked).sum(1), shared)  # (B, D)


class LinearFusion(Fusion):
    """One linear map a view into a shared space, summed. Under a linear head that is late fusion: each
    terminal's logit is the sum of what the views say, so no view can hide another."""

    def __init__(self, dims: dict[str, int], dim: int = 256) -> None:
        super().__init__()
        self.dims, self.dim = dims, dim
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in dims.items()})

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D)."""
        shared = {name: self.project[name](view.pooled) for name, view in views.items()}
        return Joint(torch.stack(list(shared.values())).sum(0), shared)  # (B, D)
