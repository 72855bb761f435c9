"""Losses on the embeddings of single views in a fusion's shared space.

Missing and dropped views are left out.
Shapes: B products, V views, D the joint width, U embeddings of all present views of all products.
"""

import math
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aisle.errors import RecipeError
from aisle.models.label_embeddings import path_vectors
from aisle.models.registry import Context, Output, Target


class SpaceLoss(nn.Module):
    """Base class of losses on the embeddings of views.

    Args:
        views: names of the views, all by default.
    """

    def __init__(self, views: list[str] | None = None) -> None:
        super().__init__()
        self.views = views

    def vectors(self, output: Output) -> dict[str, tuple[Tensor, Tensor]]:
        """Unit vectors (B, D) and presence (B,) by view.

        Raises:
            RecipeError: the fusion has no shared space, or no view of a name in `views`.
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
        views = shared if self.views is None else self.views
        return {view: (F.normalize(shared[view].float(), dim=1), output.present[view]) for view in views}


class ContrastiveLoss(SpaceLoss):
    """Symmetric InfoNCE as in CLIP (Radford et al., arXiv 2103.00020), averaged over pairs of views.

    Each view must identify the other view of the same product within the batch. Products that lack either
    view are left out. The temperature is learned, and at least .01.

    Args:
        context: not used.
        temperature: its initial value.
        views: names of the views, all by default.
    """

    def __init__(self, context: Context, temperature: float = 0.07, views: list[str] | None = None) -> None:
        super().__init__(views)
        if temperature <= 0:
            raise ValueError(f"the temperature is above 0, not {temperature}")
        self.temperature = temperature
        self.scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, output: Output, target: Target) -> Tensor:
        """The loss, a scalar; 0 where no two products have the same two views."""
        scale = self.scale.clamp(max=math.log(100.0)).exp()
        losses = []
        for (one, has_one), (other, has_other) in combinations(self.vectors(output).values(), 2):
            both = has_one & has_other
            if both.sum() < 2:
                continue
            logits = scale * one[both] @ other[both].T  # (b, b)
            label = torch.arange(len(logits), device=logits.device)
            losses.append((F.cross_entropy(logits, label) + F.cross_entropy(logits.T, label)) / 2)
        return torch.stack(losses).mean() if losses else output.joint.product.new_zeros(())


class CrossModalGapLoss(SpaceLoss):
    """The mean cosine distance between the present views of a product, over pairs of views.

    Source: the cross-modal gap loss of HUSE (arXiv 1911.05978).

    Args:
        context: not used.
        views: names of the views, all by default.
    """

    def __init__(self, context: Context, views: list[str] | None = None) -> None:
        super().__init__(views)

    def forward(self, output: Output, target: Target) -> Tensor:
        """The loss, a scalar; 0 where no product has two views."""
        distances = [
            (1 - (one * other).sum(1))[has_one & has_other]
            for (one, has_one), (other, has_other) in combinations(self.vectors(output).values(), 2)
        ]
        distance = torch.cat(distances) if distances else output.joint.product.new_zeros(0)
        return distance.mean() if len(distance) else output.joint.product.new_zeros(())


class SemanticGraphLoss(SpaceLoss):
    """The squared difference between distances of embeddings and distances of their classes' names.

    Source: HUSE (arXiv 1911.05978, equations 9 and 10),

        1/U² Σ_m Σ_n σ_mn (d(u_m, u_n) - A_ij)²,   σ_mn = 1 where A_ij < ζ and d(u_m, u_n) < ζ, else 0

    over all pairs of the batch's U embeddings, each of one view of one product of class i or j; d and the
    weights A of the graph of classes are cosine distances.

    Args:
        context: the tree and name embeddings.
        margin: ζ; pairs farther apart, as classes or as embeddings, are left out.
        label_encoder: folder or hub name of a text encoder that embeds the names along the path; by default
            the hashed name embeddings that heads use.
        views: names of the views, all by default.
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
        """The loss, a scalar; 0 where no view is present."""
        vectors = self.vectors(output).values()
        embedded = torch.cat([vector[present] for vector, present in vectors])  # (U, D)
        node = torch.cat([target.node[present] for _, present in vectors])  # (U,)
        if not len(embedded):
            return output.joint.product.new_zeros(())
        distance = 1 - embedded @ embedded.T  # (U, U)
        graph = 1 - self.classes[node] @ self.classes[node].T
        counted = (graph < self.margin) & (distance < self.margin)
        return ((distance - graph) ** 2 * counted).mean()
