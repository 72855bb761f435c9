"""From tokens to one vector."""

from torch import Tensor


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens (B, T, D), mask (B, T) -> (B, D) mean of unmasked tokens; zeros where there are none."""
    share = mask.unsqueeze(-1).to(tokens.dtype)  # (B, T, 1)
    return (tokens * share).sum(1) / share.sum(1).clamp(min=1)
