"""Losses of the shared space: where a product's views lie, near each other and near like products.

They see a view only where it is present (or was not dropped); an absent one has no place in the space.
Shapes: B products, V views, D the joint width, U embeddings: every present view of every product.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aisle.errors import RecipeError
from aisle.models.label_embeddings import path_vectors
from aisle.models.registry import Context, Output, Target


class SpaceLoss(nn.Module):
    """Asks a fusion with a shared space for some views' vectors: those named in `views`, all by default."""

    def __init__(self, views: list[str] | None = None) -> None:
        super().__init__()
        self.views = views

    def vectors(self, output: Output) -> dict[str, tuple[Tensor, Tensor]]:
        """{view: (unit vectors (B, D), present (B,))}.

        Raises:
            RecipeError: the fusion has no shared space, or no view of that name.
        """
        shared, name = output.joint.views, type(self).__name__
        if shared is None:
            raise RecipeError(
                f"loss {name} needs a fusion with a shared space, such as HuseFusion, "
                "AverageFusion, GatedFusion or LinearFusion"
            )
        for view in self.views or ():
            if view not in shared:
                raise RecipeError(f"loss {name}: no view {view!r}; the views are {', '.join(shared)}")
        asked = shared if self.views is None else self.views
        return {view: (F.normalize(shared[view].float(), dim=1), output.present[view]) for view in asked}


class ContrastiveLoss(SpaceLoss):
    """Each view must find the same product's other view among the batch's, and the other way round: the
    symmetric InfoNCE of CLIP (Radford et al., arXiv 2103.00020), averaged over pairs of views.

    Products that lack either view take no part, neither as question nor as answer. The temperature is
    learned, from `temperature` on, and stays at .01 or above.
    """

    def __init__(self, context: Context, temperature: float = 0.07, views: list[str] | None = None) -> None:
        super().__init__(views)
        if temperature <= 0:
            raise ValueError(f"the temperature is above 0, not {temperature}")
        self.temperature = temperature
        self.scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, output: Output, target: Target) -> Tensor:
        """-> scalar; 0 where no two products have the same two views."""
        scale = self.scale.clamp(max=math.log(100.0)).exp()
        losses = []
        for (one, has_one), (other, has_other) in combinations(self.vectors(output).values(), 2):
            both = has_one & has_other
            if both.sum() < 2:
                continue
            likeness = scale * one[both] @ other[both].T  # (b, b)
            right = torch.arange(len(likeness), device=likeness.device)
            losses.append((F.cross_entropy(likeness, right) + F.cross_entropy(likeness.T, right)) / 2)
        return torch.stack(losses).mean() if losses else output.joint.product.new_zeros(())


class CrossModalGapLoss(SpaceLoss):
    """The mean cosine distance between the views of a product: HUSE's cross-modal gap (arXiv 1911.05978,
    the third loss), over every pair of views that are both present."""

    def __init__(self, context: Context, views: list[str] | None = None) -> None:
        super().__init__(views)

    def forward(self, output: Output, target: Target) -> Tensor:
        """-> scalar; 0 where no product has two views."""
        distances = [
            (1 - (one * other).sum(1))[has_one & has_other]
            for (one, has_one), (other, has_other) in combinations(self.vectors(output).values(), 2)
        ]
        found = torch.cat(distances) if distances else output.joint.product.new_zeros(0)
        return found.mean() if len(found) else output.joint.product.new_zeros(())


class SemanticGraphLoss(SpaceLoss):
    """Embeddings of products shall lie as far apart as the names of their classes do: HUSE's second loss
    (arXiv 1911.05978, equations 9 and 10),

        1/U² Σ_m Σ_n σ_mn (d(u_m, u_n) - A_ij)²,   σ_mn = 1 where A_ij < ζ and d(u_m, u_n) < ζ, else 0

    over all pairs of the batch's U universal embeddings, each of one view of one product of class i or j; d
    and the graph's weights A are cosine distances. margin: ζ; pairs farther apart than it, as classes or as
    embeddings, are left alone. label_encoder: folder or hub name of a text encoder that
    embeds the classes' names along the whole path; without one, the hashed
    words and spelling that heads know.
    """

    classes: Tensor

    def __init__(
        self,
        context: Context,
        margin: float = 0.7,
        label_encoder: str | None = None,
        views: list[str] | None = None,
    ) -> None:
        super().__init__(views)
        if margin <= 0:
            raise ValueError(f"the margin is above 0, not {margin}: no pair would count")
        self.margin, self.label_encoder = margin, label_encoder
        vectors = (
            context.class_vectors if label_encoder is None else path_vectors(context.taxonomy, label_encoder)
        )
        unit = F.normalize(torch.from_numpy(np.asarray(vectors, dtype=np.float32)), dim=1)
        self.register_buffer("classes", unit, persistent=False)  # (M, C)

    def forward(self, output: Output, target: Target) -> Tensor:
        """-> scalar; 0 where nothing is present."""
        found = self.vectors(output).values()
        embedded, node = _universal(list(found), target.node)
        if not len(embedded):
            return output.joint.product.new_zeros(())
        distance = 1 - embedded @ embedded.T  # (U, U)
        graph = 1 - self.classes[node] @ self.classes[node].T
        counted = (graph < self.margin) & (distance < self.margin)
        return ((distance - graph) ** 2 * counted).mean()


def _universal(found: Sequence[tuple[Tensor, Tensor]], node: Tensor) -> tuple[Tensor, Tensor]:
    """Every present view of every product (U, D), and its product's class (U,)."""
    vectors = torch.cat([vector[present] for vector, present in found])
    return vectors, torch.cat([node[present] for _, present in found])
