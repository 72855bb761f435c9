"""Fusions of one vector per view: averages, gates, sums.

Shapes: B products, V views, D the joint width.
"""

import torch
from torch import Tensor, nn

from aisle.models.registry import Encoded, Fusion, Joint


class ViewProjection(nn.Module):
    """Layer norm, optionally a hidden layer, and a linear map into the joint width.

    The norm is needed because views differ in scale by orders of magnitude.

    Args:
        width: of the view.
        dim: D.
        hidden: width of the hidden layer, 0 for none.
        dropout: before the last linear map.
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
        """Project (B, width) to (B, D)."""
        return self.layers(x)


def projections(dims: dict[str, int], dim: int, hidden: int = 0, dropout: float = 0.0) -> nn.ModuleDict:
    """A `ViewProjection` for each view; arguments as of `ViewProjection`."""
    return nn.ModuleDict({name: ViewProjection(width, dim, hidden, dropout) for name, width in dims.items()})


class AverageFusion(Fusion):
    """A learned average of the views in one shared space, weighted by a softmax over V learned numbers.

    Args:
        dims: width of each view.
        dim: D.
        hidden: width of a hidden layer per view, 0 for none.
        dropout: in the projections.
    """

    def __init__(self, dims: dict[str, int], dim: int = 256, hidden: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.dims, self.dim, self.hidden, self.dropout = dims, dim, hidden, dropout
        self.project = projections(dims, dim, hidden, dropout)
        self.weight = nn.Parameter(torch.zeros(len(dims)))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one vector (B, D)."""
        shared = {name: self.project[name](view.pooled) for name, view in views.items()}
        share = self.weight.softmax(0)  # (V,)
        return Joint((torch.stack(list(shared.values()), -1) * share).sum(-1), shared)  # (B, D)


class ConcatFusion(Fusion):
    """The projected views, concatenated, and a linear map to D.

    Args:
        dims: width of each view.
        dim: D.
        hidden: width of a hidden layer per view, 0 for none.
        dropout: in the projections and after them.
    """

    def __init__(self, dims: dict[str, int], dim: int = 256, hidden: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.dims, self.dim, self.hidden, self.dropout = dims, dim, hidden, dropout
        self.project = projections(dims, dim, hidden, dropout)
        self.join = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(dim * len(dims), dim))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one vector (B, D)."""
        projected = torch.cat(
            [self.project[name](view.pooled) for name, view in views.items()], 1
        )  # (B, V*D)
        return Joint(self.join(projected))


class GatedFusion(Fusion):
    """A softmax gate over views for each feature (cf. Arevalo et al., arXiv 1702.01992).

    Args:
        dims: width of each view.
        dim: D.
        hidden: width of a hidden layer per view, 0 for none.
        dropout: in the projections.
    """

    def __init__(self, dims: dict[str, int], dim: int = 256, hidden: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.dims, self.dim, self.hidden, self.dropout = dims, dim, hidden, dropout
        self.project = projections(dims, dim, hidden, dropout)
        self.gate = nn.Linear(dim * len(dims), dim * len(dims))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one vector (B, D)."""
        shared = {name: self.project[name](view.pooled) for name, view in views.items()}
        stacked = torch.stack(list(shared.values()), 1)  # (B, V, D)
        share = self.gate(stacked.flatten(1)).view_as(stacked).softmax(1)  # (B, V, D)
        return Joint((share * stacked).sum(1), shared)  # (B, D)


class LinearFusion(Fusion):
    """The sum of one linear map per view; under a linear head this is late fusion, a sum of logits per view.

    Args:
        dims: width of each view.
        dim: D.
    """

    def __init__(self, dims: dict[str, int], dim: int = 256) -> None:
        super().__init__()
        self.dims, self.dim = dims, dim
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in dims.items()})

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one vector (B, D)."""
        shared = {name: self.project[name](view.pooled) for name, view in views.items()}
        return Joint(torch.stack(list(shared.values())).sum(0), shared)  # (B, D)
