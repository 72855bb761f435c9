"""Losses of the scores: how unlikely the network finds where products belong."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from aisle.errors import RecipeError
from aisle.models.heads import log_prior
from aisle.models.registry import Context, Output, Target
from aisle.models.scores import TorchScores, TreeIndex, TreeScores


class CrossEntropyLoss(nn.Module):
    """The mean negative log-likelihood of where products belong, exact or known only to a branch.

    label_smoothing: the share of each exact target given away, half to its siblings' branch, level by level
    up the tree, so that a near miss costs less than a far one (cf. Bertinetto et al., arXiv 1912.09393).
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
        """-> scalar."""
        return mean(self.each(output.scores, target), target.weight)

    def each(self, scores: TorchScores, target: Target) -> Tensor:
        """(B,) the loss of these scores."""
        if self.logit_adjustment:
            scores = TreeScores(scores.all() + self.logit_adjustment * self.prior, self.index)
        loss = scores.nll(target.node, target.exact)  # (B,)
        if self.label_smoothing:
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * self._along_the_tree(
                scores, target
            )
        return loss

    def _along_the_tree(self, scores: TorchScores, target: Target) -> Tensor:
        """(B,) cross-entropy with a target spread evenly over the terminals of each ancestor's branch,
        the parent's branch given twice the grandparent's share, and so on up to the whole tree."""
        logp = scores.all()  # (B, N)
        total = torch.cat([logp.new_zeros(len(logp), 1), logp.cumsum(1)], 1)  # (B, N + 1)
        path = self.index.ancestors[target.node]  # (B, L)
        depth = (path >= 0).sum(1)  # (B,)
        loss = total[:, -1] / logp.shape[1]  # the whole tree
        share = torch.ones_like(loss)
        for level in range(path.shape[1]):
            above = depth - 1 > level  # a strict ancestor of the target
            start, stop = self.index.span[path[:, level].clamp(min=0)].unbind(1)
            inside = total.gather(1, stop.unsqueeze(1)) - total.gather(1, start.unsqueeze(1))
            mean = inside.squeeze(1) / (stop - start)
            weight = torch.where(above, 2.0 ** (level + 1), 0.0)
            loss, share = loss + weight * mean, share + weight
        return -loss / share


class PerViewLoss(CrossEntropyLoss):
    """The same likelihood asked of views alone, where they are present, so that each learns to tell: a view
    that is slow to learn from gets no gradient once the others have explained the training rows.

    views: those asked, all by default.
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

    def asks(self, views: Sequence[str]) -> list[str]:
        """Those of the model's views whose own scores it needs."""
        return [name for name in views if self.views is None or name in self.views]

    def forward(self, output: Output, target: Target) -> Tensor:
        """-> scalar: the mean over views of their own losses; 0 if the fusion has no shared space.

        Raises:
            RecipeError: no view of a name that is asked.
        """
        for view in self.views or ():
            if view not in output.present:
                raise RecipeError(
                    f"loss PerViewLoss: no view {view!r}; the views are {', '.join(output.present)}"
                )
        losses = []
        for name, scores in output.by_view.items():
            if name in self.asks([name]):
                here = output.present[name]
                counts = here.float() if target.weight is None else here * target.weight
                losses.append(mean(self.each(scores, target), counts))
        return torch.stack(losses).mean() if losses else output.joint.product.new_zeros(())


class FocalLoss(CrossEntropyLoss):
    """(1 - p)^gamma times the negative log-likelihood, p the probability of the target: what is answered well
    already counts less (Lin et al., arXiv 1708.02002, equation 4). gamma 0 is cross-entropy."""

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

    def each(self, scores: TorchScores, target: Target) -> Tensor:
        """(B,) the loss of these scores."""
        whole = TreeScores(scores.all(), self.index).nll(target.node, target.exact)  # a head may weigh levels
        # A probability of exactly 1 has a gradient of infinity where gamma is below 1.
        missing = (-torch.expm1(-whole)).clamp(min=1e-6)
        return missing**self.gamma * super().each(scores, target)


class ClassBalancedLoss(CrossEntropyLoss):
    """The negative log-likelihood, each product times (1 - beta) / (1 - beta^n), n its class's training
    products: the inverse of their effective number (Cui et al., arXiv 1901.05555, equation 2).

    Weights are scaled so that those of the classes average 1. beta 0 weighs all products alike, beta towards
    1 all classes. A target known only to a branch has all of the branch's products.
    """

    effective: Tensor

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
        own = self.index.terminal_of.clamp(min=0)
        factor = 1 / self._effective(counts)
        mean_factor = factor.mean()
        exact, branch = (
            (factor / mean_factor)[own],
            1 / self._effective(total[stop] - total[start]) / mean_factor,
        )
        self.register_buffer("effective", torch.stack([branch, exact]).float(), persistent=False)  # (2, M)

    def _effective(self, counts: Tensor) -> Tensor:
        """(1 - beta^n) / (1 - beta); of no product, as of one."""
        return (1 - self.beta ** counts.clamp(min=1)) / (1 - self.beta)

    def each(self, scores: TorchScores, target: Target) -> Tensor:
        """(B,) the loss of these scores."""
        return self.effective[target.exact.long(), target.node] * super().each(scores, target)


def mean(losses: Tensor, weight: Tensor | None) -> Tensor:
    """The weighted mean of losses (B,): a scalar; 0 where nothing counts."""
    return losses.mean() if weight is None else (losses * weight).sum() / weight.sum().clamp(min=1e-6)
