"""One space for all views, on the unit sphere: hierarchical universal semantic embeddings.

Shapes: B products, V views, D the joint width.
"""

import torch
from torch import nn
from torch.nn import functional as F

from aisle.model.parts import Encoded, Fusion, Joint


class Huse(Fusion):
    """A tower of dense layers a view into one shared space, on the unit sphere, where a product is the
    weighted average of its views (Narayana et al., arXiv 1911.05978).

    Any head is then a classifier shared by all views: it reads a view's own vector just as a product's.
    text, image: layers of a text view's tower and of any other view's, each D wide, with ReLU and dropout
    between them. The average's weights are learned: a softmax over V numbers.
    """

    def __init__(
        self,
        dims: dict[str, int],
        dim: int = 512,
        text: int = 2,
        image: int = 5,
        dropout: float = 0.15,
        modalities: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        if min(text, image) < 1:
            raise ValueError(f"a tower has at least one layer, not {min(text, image)}")
        self.dims, self.dim, self.text, self.image, self.dropout = dims, dim, text, image, dropout
        self.modalities = modalities
        kinds = modalities or {}
        self.tower = nn.ModuleDict(
            {
                name: _tower(width, dim, text if kinds.get(name, "text") == "text" else image, dropout)
                for name, width in dims.items()
            }
        )
        self.weight = nn.Parameter(torch.zeros(len(dims)))

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D) and V times (B, D), all of length 1."""
        shared = {name: F.normalize(self.tower[name](view.pooled), dim=1) for name, view in views.items()}
        share = self.weight.softmax(0)  # (V,)
        return Joint(F.normalize((torch.stack(list(shared.values()), -1) * share).sum(-1), dim=1), shared)


def _tower(width: int, dim: int, layers: int, dropout: float) -> nn.Sequential:
    # Encoders differ in scale by orders of magnitude: standardised first.
    parts: list[nn.Module] = [nn.LayerNorm(width), nn.Linear(width, dim)]
    for _ in range(layers - 1):
        parts += [nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim)]
    return nn.Sequential(*parts)
