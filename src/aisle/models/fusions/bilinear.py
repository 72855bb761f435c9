"""Low-rank bilinear fusion: products of the features of each two views.

Shapes: B products, V views, R the rank, D the joint width.
"""

from itertools import combinations

import torch
from torch import Tensor, nn

from aisle.models.fusions.pooled import projections
from aisle.models.registry import Encoded, Fusion, Joint


class BilinearFusion(Fusion):
    """The sum of a linear map of each view and of low-rank bilinear maps of each pair of views.

    A bilinear map of rank R of two views x and y is P (tanh(U x) * tanh(V y)), as in multimodal low-rank
    bilinear pooling (Kim et al., arXiv 1610.04325). The linear part keeps products with one view apart.

    Args:
        dims: width of each view.
        dim: D.
        rank: R.
        dropout: in the projections and after the products.
    """

    def __init__(self, dims: dict[str, int], dim: int = 256, rank: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.dims, self.dim, self.rank, self.dropout = dims, dim, rank, dropout
        self.linear = projections(dims, dim, dropout=dropout)
        self.factors = projections(dims, rank, dropout=dropout)
        self.drop = nn.Dropout(dropout)
        self.pairs = list(combinations(dims, 2))
        self.join = nn.ModuleList(nn.Linear(rank, dim, bias=False) for _ in self.pairs)

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one vector (B, D)."""
        factors = {name: torch.tanh(self.factors[name](view.pooled)) for name, view in views.items()}
        fused: Tensor = torch.stack([self.linear[name](view.pooled) for name, view in views.items()]).sum(0)
        for (one, other), join in zip(self.pairs, self.join, strict=True):
            fused = fused + join(self.drop(factors[one] * factors[other]))
        return Joint(fused)
