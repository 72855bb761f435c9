"""From tokens to one vector, or to fewer tokens."""

from collections.abc import Callable

import torch
from torch import Tensor


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens (B, T, D), mask (B, T) -> (B, D) mean of unmasked tokens; zeros where there are none."""
    share = mask.unsqueeze(-1).to(tokens.dtype)  # (B, T, 1)
    return (tokens * share).sum(1) / share.sum(1).clamp(min=1)


def masked_max(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens (B, T, D), mask (B, T) -> (B, D) the largest of unmasked tokens; zeros where there are none."""
    lowest = torch.finfo(tokens.dtype).min
    most = tokens.masked_fill(~mask.unsqueeze(-1), lowest).amax(1)
    return torch.where(mask.any(1, keepdim=True), most, torch.zeros_like(most))


def cls_token(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens (B, T, D), mask (B, T) -> (B, D) the first one."""
    return tokens[:, 0]


def last_token(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens (B, T, D), mask (B, T) -> (B, D) the last unmasked one; the first where there are none."""
    place = torch.arange(mask.shape[1], device=mask.device) * mask.long()  # (B, T)
    index = place.amax(1).view(-1, 1, 1).expand(-1, 1, tokens.shape[2])
    return tokens.gather(1, index).squeeze(1)


def mean_sqrt_len(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens (B, T, D), mask (B, T) -> (B, D) the sum of unmasked tokens over the root of their number."""
    share = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * share).sum(1) / share.sum(1).clamp(min=1).sqrt()


def weighted_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """tokens (B, T, D), mask (B, T) -> (B, D) the mean of unmasked tokens, the nth counting n times."""
    place = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    share = (place * mask).unsqueeze(-1).to(tokens.dtype)
    return (tokens * share).sum(1) / share.sum(1).clamp(min=1)


# By the names that sentence-transformers gives them.
POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": masked_mean,
    "cls": cls_token,
    "max": masked_max,
    "lasttoken": last_token,
    "mean_sqrt_len": mean_sqrt_len,
    "weightedmean": weighted_mean,
}


def attention_pool(tokens: Tensor, mask: Tensor, score: Tensor) -> Tensor:
    """tokens (B, T, D), mask (B, T), score (B, T, 1) -> (B, D): the unmasked ones' mean, weighted by a
    softmax."""
    score = score.float().masked_fill(~mask.unsqueeze(-1), torch.finfo(torch.float32).min)
    share = score.softmax(1) * mask.unsqueeze(-1)
    return (tokens * share.to(tokens.dtype)).sum(1)


def at_most(tokens: Tensor, mask: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """tokens (B, T, D), mask (B, T) -> the same with T at most `most`.

    Rows with more unmasked tokens get means of consecutive ones, as equal in number as can be, so that the
    end of a text and the lower half of a picture still count; others keep theirs, moved to the front.
    """
    return (tokens, mask) if tokens.shape[1] <= most else condensed(tokens, mask, most)


def condensed(tokens: Tensor, mask: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """`at_most` whatever T is: T becomes `most`, with masked zeros at the end of rows that have fewer."""
    count = mask.sum(1, keepdim=True)  # (B, 1)
    place = mask.cumsum(1) - 1  # (B, T) among the unmasked
    run = torch.where(count > most, place * most // count.clamp(min=1), place)
    into = (run.unsqueeze(1) == torch.arange(most, device=mask.device).view(1, -1, 1)) & mask.unsqueeze(1)
    share = into.to(tokens.dtype)  # (B, most, T)
    size = share.sum(2, keepdim=True)
    return share @ tokens / size.clamp(min=1), size.squeeze(2) > 0
