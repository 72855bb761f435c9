"""Losses on the scores: the negative log-likelihood of the labels, and variants of it.

Shapes: B products, N terminals, M nodes, L levels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from aisle.errors import RecipeError
from aisle.models.heads import log_prior
from aisle.models.registry import Context, Output, Target
from aisle.models.scores import TorchScores, TreeIndex, TreeScores


class CrossEntropyLoss(nn.Module):
    """The mean negative log-likelihood of the labels, which are a terminal or a branch.

    Args:
        context: the tree and training counts.
        label_smoothing: the share of each label given to other terminals: most to those in its parent's
            branch, half as much per level above, so that a near miss costs less than a far one (cf.
            Bertinetto et al., arXiv 1912.09393).
        logit_adjustment: strength of logit adjustment (Menon et al., arXiv 2007.07314, eq. 10); 0 is off, 1
            balances the classes as if all were equally frequent.
    """

    prior: Tensor

    def __init__(self, context: Context, label_smoothing: float = 0.0, logit_adjustment: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing, self.logit_adjustment = label_smoothing, logit_adjustment
        self.index = TreeIndex(context.taxonomy)
        self.register_buffer("prior", log_prior(context.taxonomy, context.counts), persistent=False)

    def forward(self, output: Output, target: Target) -> Tensor:
        """The weighted mean over the batch, a scalar."""
        return weighted_mean_loss(self.per_product(output.scores, target), target.weight)

    def per_product(self, scores: TorchScores, target: Target) -> Tensor:
        """(B,) the loss of each product."""
        if self.logit_adjustment:
            scores = TreeScores(scores.all() + self.logit_adjustment * self.prior, self.index)
        loss = scores.nll(target.node, target.exact)  # (B,)
        if self.label_smoothing:
            smooth = self._ancestor_loss(scores, target)
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * smooth
        return loss

    def _ancestor_loss(self, scores: TorchScores, target: Target) -> Tensor:
        """(B,) cross-entropy with a target spread evenly over the terminals of each ancestor's branch.

        The parent's branch has twice the weight of the grandparent's, and so on up to the whole tree.
        """
        logp = scores.all()  # (B, N)
        total = torch.cat([logp.new_zeros(len(logp), 1), logp.cumsum(1)], 1)  # (B, N + 1)
        path = self.index.ancestors[target.node]  # (B, L)
        depth = (path >= 0).sum(1)  # (B,)
        loss = total[:, -1] / logp.shape[1]  # the whole tree
        total_weight = torch.ones_like(loss)
        for level in range(path.shape[1]):
            is_above = depth - 1 > level  # a strict ancestor of the target
            start, stop = self.index.span[path[:, level].clamp(min=0)].unbind(1)
            inside = total.gather(1, stop.unsqueeze(1)) - total.gather(1, start.unsqueeze(1))
            mean_logp = inside.squeeze(1) / (stop - start)
            weight = torch.where(is_above, 2.0 ** (level + 1), 0.0)
            loss, total_weight = loss + weight * mean_logp, total_weight + weight
        return -loss / total_weight


class PerViewLoss(CrossEntropyLoss):
    """Cross-entropy of the scores of single views, so that each view learns to classify alone.

    Otherwise a view that is slow to train gets no gradient once the others fit the training rows.

    Args:
        context: the tree and training counts.
        label_smoothing: as in `CrossEntropyLoss`.
        logit_adjustment: as in `CrossEntropyLoss`.
        views: names of the views, all by default.
    """

    def __init__(
        self,
        context: Context,
        label_smoothing: float = 0.0,
        logit_adjustment: float = 0.0,
        views: list[str] | None = None,
    ) -> None:
        super().__init__(context, label_smoothing, logit_adjustment)
        self.views = views

    def views_to_score(self, views: Sequence[str]) -> list[str]:
        """Those of the model's views that the loss applies to."""
        return [name for name in views if self.views is None or name in self.views]

    def forward(self, output: Output, target: Target) -> Tensor:
        """The mean over views of their losses, a scalar; 0 if the fusion has no shared space.

        Raises:
            RecipeError: there is no view of a name in `views`.
        """
        for view in self.views or ():
            if view not in output.present:
                raise RecipeError(
                    f"loss PerViewLoss: no view {view!r}; the views are {', '.join(output.present)}"
                )
        losses = []
        for name, scores in output.by_view.items():
            if name in self.views_to_score([name]):
                present = output.present[name]
                weight = present.float() if target.weight is None else present * target.weight
                losses.append(weighted_mean_loss(self.per_product(scores, target), weight))
        return torch.stack(losses).mean() if losses else output.joint.product.new_zeros(())


class FocalLoss(CrossEntropyLoss):
    """Focal loss: (1 - p)^gamma times the negative log-likelihood, p the probability of the label.

    Source: Lin et al., arXiv 1708.02002, equation 4.

    Args:
        context: the tree and training counts.
        gamma: 0 is cross-entropy.
        label_smoothing: as in `CrossEntropyLoss`.
        logit_adjustment: as in `CrossEntropyLoss`.
    """

    def __init__(
        self,
        context: Context,
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
        logit_adjustment: float = 0.0,
    ) -> None:
        super().__init__(context, label_smoothing, logit_adjustment)
        if gamma < 0:
            raise ValueError(f"gamma is at least 0, not {gamma}")
        self.gamma = gamma

    def per_product(self, scores: TorchScores, target: Target) -> Tensor:
        """(B,) the loss of each product."""
        # Over terminals, because a head may weight its levels.
        nll = TreeScores(scores.all(), self.index).nll(target.node, target.exact)
        # Clamped, because the gradient at 0 is infinite where gamma is below 1.
        complement = (-torch.expm1(-nll)).clamp(min=1e-6)
        return complement**self.gamma * super().per_product(scores, target)


class ClassBalancedLoss(CrossEntropyLoss):
    """Cross-entropy weighted by the inverse effective number of a class's n training products.

    The weight is (1 - beta) / (1 - beta^n) (Cui et al., arXiv 1901.05555, equation 2), scaled to a mean of 1
    over classes. For a label that is a branch, n counts the products of the branch.

    Args:
        context: the tree and training counts.
        beta: 0 weighs all products alike; towards 1, all classes.
        label_smoothing: as in `CrossEntropyLoss`.
        logit_adjustment: as in `CrossEntropyLoss`.
    """

    weights: Tensor

    def __init__(
        self,
        context: Context,
        beta: float = 0.999,
        label_smoothing: float = 0.0,
        logit_adjustment: float = 0.0,
    ) -> None:
        super().__init__(context, label_smoothing, logit_adjustment)
        if not 0 <= beta < 1:
            raise ValueError(f"beta is at least 0 and less than 1, not {beta}")
        self.beta = beta
        counts = torch.from_numpy(np.asarray(context.counts, dtype=np.float64))  # (N,)
        total = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        start, stop = self.index.span.unbind(1)
        weight = 1 / self._effective_number(counts)
        exact = (weight / weight.mean())[self.index.terminal_of.clamp(min=0)]
        branch = 1 / self._effective_number(total[stop] - total[start]) / weight.mean()
        self.register_buffer("weights", torch.stack([branch, exact]).float(), persistent=False)  # (2, M)

    def _effective_number(self, counts: Tensor) -> Tensor:
        """(1 - beta^n) / (1 - beta), with n at least 1."""
        return (1 - self.beta ** counts.clamp(min=1)) / (1 - self.beta)

    def per_product(self, scores: TorchScores, target: Target) -> Tensor:
        """(B,) the loss of each product."""
        return self.weights[target.exact.long(), target.node] * super().per_product(scores, target)


def weighted_mean_loss(losses: Tensor, weight: Tensor | None) -> Tensor:
    """The weighted mean of losses (B,), a scalar; 0 where all weights are."""
    return losses.mean() if weight is None else (losses * weight).sum() / weight.sum().clamp(min=1e-6)
