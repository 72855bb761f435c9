"""Fusions of one vector a view: averages, gates, sums.

Shapes: B products, V views, D the joint width.
"""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

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


class Average(Fusion):
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


class Beside(Fusion):
    """Views side by side as they are, each times a fixed number from `scales` (1 by default)."""

    def __init__(self, dims: dict[str, int], scales: dict[str, float] | None = None) -> None:
        super().__init__()
        self.dims, self.dim, self.scales = dims, sum(dims.values()), dict(scales or {})

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, sum of their widths); a view alone keeps its place, with zeros around."""
        scaled = {name: view.pooled * self.scales.get(name, 1.0) for name, view in views.items()}
        product = torch.cat(list(scaled.values()), 1)
        return Joint(product, _Apart(product, {name: vector.shape[1] for name, vector in scaled.items()}))


class _Apart(Mapping[str, Tensor]):
    """Views that lie side by side in a vector, each alone with zeros around it: made when it is asked for,
    because a linear head reads no zeros (`aisle.models.heads.Tree.beside`)."""

    def __init__(self, product: Tensor, widths: Mapping[str, int]) -> None:
        self.product, self.widths = product, widths

    def __getitem__(self, view: str) -> Tensor:
        start = sum(self.widths[name] for name in takewhile(view.__ne__, self.widths))
        stop = start + self.widths[view]
        return functional.pad(self.product[:, start:stop], (start, self.product.shape[1] - stop))

    def __iter__(self) -> Iterator[str]:
        return iter(self.widths)

    def __len__(self) -> int:
        return len(self.widths)


class Concat(Fusion):
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


class Gated(Fusion):
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


class Gaussian(nn.Module):
    """A sum of bells around landmarks: over m, weight[m] exp(-sharpness |x - landmark[m]|² / 2 spread).

    x and landmarks have length 1. What pretrained encoders give is bent: likeness tells most when it is close
    (docs/lab-notes.md has what that is worth). Landmarks are training rows (Nyström's method: Williams &
    Seeger, NIPS 2000), put in by `aisle.training.pca`; until then there is one, of zeros. A vector of
    zeros, what stands in for an absent view, gives zeros.
    """

    landmarks: Tensor
    spread: Tensor

    def __init__(self, width: int, dim: int, sharpness: float) -> None:
        super().__init__()
        if sharpness <= 0:
            raise ValueError(f"a kernel's sharpness must be above 0, not {sharpness}")
        self.width, self.dim, self.sharpness = width, dim, sharpness
        self.place(torch.zeros(1, width), torch.zeros(1, dim), torch.zeros(dim), 1.0)

    def place(self, landmarks: Tensor, weight: Tensor, bias: Tensor, spread: float) -> None:
        """Put in landmarks (m, width) of length 1, their weights (m, D), bias (D,) and spread."""
        self.register_buffer("landmarks", landmarks)
        self.register_buffer("spread", torch.tensor(float(spread)))
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) -> (B, D)."""
        likeness = functional.normalize(x) @ self.landmarks.T  # (B, m)
        bells = torch.exp((likeness - 1) * (self.sharpness / self.spread))
        return torch.where(x.any(1, keepdim=True), bells @ self.weight + self.bias, 0.0)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        landmarks, weight = state.get(f"{prefix}landmarks"), state.get(f"{prefix}weight")
        if landmarks is not None and weight is not None:  # as many as the training rows were
            self.place(torch.empty_like(landmarks), torch.empty_like(weight), self.bias.data, 1.0)
        super()._load_from_state_dict(state, prefix, *args)


class Linear(Fusion):
    """One linear map a view into a shared space, summed. Under a linear head that is late fusion: each
    terminal's logit is the sum of what the views say, so no view can hide another.

    direct: views whose encoder already gives vectors of that space (a folded `Lexical` table). kernels: views
    that are mapped through a `Gaussian` kernel of this sharpness in place of linearly.
    """

    def __init__(
        self,
        dims: dict[str, int],
        dim: int = 256,
        direct: list[str] | None = None,
        kernels: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.dims, self.dim = dims, dim
        self.direct, self.kernels = list(direct or []), dict(kernels or {})
        for name in set(self.direct) & dims.keys():
            if dims[name] != dim:
                raise ValueError(
                    f"view {name!r} is {dims[name]} wide; a direct view is as wide as the fusion, {dim}"
                )
        if both := self.kernels.keys() & self.direct:
            raise ValueError(f"view {min(both)!r} is either direct or has a kernel")
        self.project = nn.ModuleDict({name: self._projection(name) for name in dims})

    def _projection(self, name: str) -> nn.Module:
        if name in self.direct:
            return nn.Identity()
        if name in self.kernels:
            return Gaussian(self.dims[name], self.dim, self.kernels[name])
        return nn.Linear(self.dims[name], self.dim)

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D)."""
        shared = {name: self.project[name](view.pooled) for name, view in views.items()}
        return Joint(torch.stack(list(shared.values())).sum(0), shared)  # (B, D)
