"""Pooling of tokens into one vector, or into fewer tokens.

Shapes: tokens (B, T, D), mask (B, T) bool with True for real tokens; one vector per row (B, D).
"""

from collections.abc import Callable

import torch
from torch import Tensor


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean of the real tokens (B, D); zeros where there are none."""
    weight = mask.unsqueeze(-1).to(tokens.dtype)  # (B, T, 1)
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)


def masked_max(tokens: Tensor, mask: Tensor) -> Tensor:
    """The maximum over the real tokens (B, D); zeros where there are none."""
    lowest = torch.finfo(tokens.dtype).min
    largest = tokens.masked_fill(~mask.unsqueeze(-1), lowest).amax(1)
    return torch.where(mask.any(1, keepdim=True), largest, torch.zeros_like(largest))


def cls_token(tokens: Tensor, mask: Tensor) -> Tensor:
    """The first token (B, D)."""
    return tokens[:, 0]


def last_token(tokens: Tensor, mask: Tensor) -> Tensor:
    """The last real token (B, D); the first where there are none."""
    position = torch.arange(mask.shape[1], device=mask.device) * mask.long()  # (B, T)
    index = position.amax(1).view(-1, 1, 1).expand(-1, 1, tokens.shape[2])
    return tokens.gather(1, index).squeeze(1)


def mean_sqrt_len(tokens: Tensor, mask: Tensor) -> Tensor:
    """The sum of the real tokens over the square root of their number (B, D)."""
    weight = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1).sqrt()


def weighted_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean of the real tokens, weighted by their position from 1 (B, D)."""
    position = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    weight = (position * mask).unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)


# By their names in sentence-transformers.
POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": masked_mean,
    "cls": cls_token,
    "max": masked_max,
    "lasttoken": last_token,
    "mean_sqrt_len": mean_sqrt_len,
    "weightedmean": weighted_mean,
}


def attention_pool(tokens: Tensor, mask: Tensor, score: Tensor) -> Tensor:
    """The mean of the real tokens, weighted by the softmax of `score` (B, T, 1): (B, D)."""
    score = score.float().masked_fill(~mask.unsqueeze(-1), torch.finfo(torch.float32).min)
    weight = score.softmax(1) * mask.unsqueeze(-1)
    return (tokens * weight.to(tokens.dtype)).sum(1)


def limit_tokens(tokens: Tensor, mask: Tensor, max_tokens: int) -> tuple[Tensor, Tensor]:
    """Reduce T to at most `max_tokens`.

    In rows with more real tokens, consecutive ones are averaged in groups of equal size, so that the end of a
    text and the lower half of an image still count. Other rows keep theirs, moved to the front.

    Args:
        tokens: (B, T, D).
        mask: (B, T) bool.
        max_tokens: at least 1.

    Returns:
        Tokens and mask; unchanged if T is not larger.
    """
    return (tokens, mask) if tokens.shape[1] <= max_tokens else average_tokens(tokens, mask, max_tokens)


def average_tokens(tokens: Tensor, mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """As `limit_tokens`, but T always becomes `size`; rows with fewer tokens end with masked zeros."""
    count = mask.sum(1, keepdim=True)  # (B, 1)
    position = mask.cumsum(1) - 1  # (B, T) among the real tokens
    group = torch.where(count > size, position * size // count.clamp(min=1), position)
    member = (group.unsqueeze(1) == torch.arange(size, device=mask.device).view(1, -1, 1)) & mask.unsqueeze(1)
    weight = member.to(tokens.dtype)  # (B, size, T)
    group_size = weight.sum(2, keepdim=True)
    return weight @ tokens / group_size.clamp(min=1), group_size.squeeze(2) > 0
