"""One space for all views, on the unit sphere: hierarchical universal semantic embeddings.

Shapes: B products, V views, D the joint width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aisle.models.registry import Encoded, Fusion, Joint

SAY = 2.0


class HuseFusion(Fusion):
    """A tower of dense layers a view into one shared space, on the unit sphere, where a product is the
    weighted average of its views (Narayana et al., arXiv 1911.05978).

    Any head is then a classifier shared by all views: it reads a view's own vector just as a product's.
    text_layers, image_layers: layers of a text view's tower and of any other view's, with ReLU and dropout
    between them.
    The average's weights are learned: a softmax over V numbers.

    cca_dim: how many of the D dimensions are not a tower's but a linear map's, of frozen encoders' vectors,
    found in closed form before the first stage and fixed from then on (aisle.training.cca): the
    directions in which a product's views vary together. It is `SAY` times as long as what a tower gives: a
    few thousand products teach towers what categories look like, hardly which picture is whose.
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
        bridges = {name: Bridge(width, cca_dim) for name, width in dims.items()} if cca_dim else {}
        self.bridges = nn.ModuleDict(bridges)
        self.weight = nn.Parameter(torch.zeros(len(dims)))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D) and V times (B, D), all of length 1."""
        shared = {name: self._place(name, view.pooled) for name, view in views.items()}
        share = self.weight.softmax(0)  # (V,)
        return Joint(F.normalize((torch.stack(list(shared.values()), -1) * share).sum(-1), dim=1), shared)

    def _place(self, view: str, pooled: Tensor) -> Tensor:
        """(B, width) -> (B, D) of length 1."""
        place = F.normalize(self.tower[view](pooled), dim=1)
        if self.cca_dim:
            place = F.normalize(torch.cat([place, SAY * self.bridges[view](pooled)], 1), dim=1)
        return place


class Bridge(nn.Module):
    """A fixed linear map of a centred vector, onto the unit sphere; zeros until it is found."""

    mean: Tensor
    weight: Tensor

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("weight", torch.zeros(dim, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) -> (B, dim)."""
        return F.normalize((x - self.mean) @ self.weight.T, dim=1)


def _tower(width: int, dim: int, layers: int, dropout: float) -> nn.Sequential:
    # Encoders differ in scale by orders of magnitude: standardised first.
    parts: list[nn.Module] = [nn.LayerNorm(width), nn.Linear(width, dim)]
    for _ in range(layers - 1):
        parts += [nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim)]
    return nn.Sequential(*parts)
