"""HUSE: hierarchical universal semantic embeddings, a shared space for all views on the unit sphere.

Shapes: B products, V views, D the joint width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aisle.models.registry import Encoded, Fusion, Joint

CCA_WEIGHT = 2.0  # length of the CCA part relative to the tower's


class HuseFusion(Fusion):
    """Dense towers into a shared space on the unit sphere, where a product is the weighted average of its
    views.

    Source: Narayana et al., arXiv 1911.05978. A head on top is a classifier that all views share. The weights
        of the
    average are a softmax over V learned numbers.

    Args:
        dims: width of each view.
        dim: D.
        text_layers: layers in the tower of a text view, with ReLU and dropout between them.
        image_layers: layers in the tower of any other view.
        dropout: in the towers.
        cca_dim: number of the D dimensions that canonical correlation analysis of frozen encoders' vectors
            sets before the first stage (`aisle.training.cca`). A few thousand products teach towers what
            categories look like, but hardly which image belongs to which text.
        modalities: modality of each view.

    Raises:
        ValueError: a tower without layers, or no dimension left for towers.
    """

    def __init__(
        self,
        dims: dict[str, int],
        dim: int = 512,
        text_layers: int = 2,
        image_layers: int = 5,
        dropout: float = 0.15,
        cca_dim: int = 0,
        modalities: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        if min(text_layers, image_layers) < 1:
            raise ValueError(f"a tower has at least one layer, not {min(text_layers, image_layers)}")
        if not 0 <= cca_dim < dim:
            raise ValueError(f"cca_dim takes {cca_dim} of the {dim} dimensions; leave some to the towers")
        self.dims, self.dim, self.dropout = dims, dim, dropout
        self.text_layers, self.image_layers = text_layers, image_layers
        self.cca_dim, self.modalities = cca_dim, modalities
        kinds = modalities or {}
        layers = {name: text_layers if kinds.get(name, "text") == "text" else image_layers for name in dims}
        towers = {name: _tower(width, dim - cca_dim, layers[name], dropout) for name, width in dims.items()}
        self.tower = nn.ModuleDict(towers)
        cca = {name: CCAProjection(width, cca_dim) for name, width in dims.items()} if cca_dim else {}
        self.cca = nn.ModuleDict(cca)
        self.weight = nn.Parameter(torch.zeros(len(dims)))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one unit vector (B, D), and one per view."""
        shared = {name: self._embed(name, view.pooled) for name, view in views.items()}
        share = self.weight.softmax(0)  # (V,)
        return Joint(F.normalize((torch.stack(list(shared.values()), -1) * share).sum(-1), dim=1), shared)

    def _embed(self, view: str, pooled: Tensor) -> Tensor:
        """Unit vectors (B, D) of one view (B, width)."""
        embedding = F.normalize(self.tower[view](pooled), dim=1)
        if self.cca_dim:
            embedding = torch.cat([embedding, CCA_WEIGHT * self.cca[view](pooled)], 1)
            embedding = F.normalize(embedding, dim=1)
        return embedding


class CCAProjection(nn.Module):
    """A fixed linear map of centred vectors onto the unit sphere; zeros until `aisle.training.cca` sets it.

    Args:
        width: of the view.
        dim: of the projection.
    """

    mean: Tensor
    weight: Tensor

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("weight", torch.zeros(dim, width))

    def forward(self, x: Tensor) -> Tensor:
        """Project (B, width) to unit vectors (B, dim)."""
        return F.normalize((x - self.mean) @ self.weight.T, dim=1)


def _tower(width: int, dim: int, layers: int, dropout: float) -> nn.Sequential:
    # The norm is needed because views differ in scale by orders of magnitude.
    parts: list[nn.Module] = [nn.LayerNorm(width), nn.Linear(width, dim)]
    for _ in range(layers - 1):
        parts += [nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim)]
    return nn.Sequential(*parts)
