"""How many rows an encoder reads at once, and texts beside others of their length."""

from collections.abc import Callable

import torch
from torch import Tensor

_ON_DEVICE = 64  # rows that keep an accelerator busy


def at_once(x: Tensor, on_processor: int) -> int:
    """How many of x's rows to read at once: all where gradients hold on to them or a graph is being made."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return max(len(x), 1)
    return on_processor if x.device.type == "cpu" else _ON_DEVICE


def by_length(body: Callable[[Tensor, Tensor], Tensor], ids: Tensor, mask: Tensor, step: int) -> Tensor:
    """ids (B, T), mask (B, T) bool, True first in every row -> (B, T, D) what `body` makes of them.

    body: ids (b, t), mask (b, t) -> (b, t, D), asked of `step` rows of like length at once, so that short
    texts do not pay for the longest; zeros after the longest of those.
    """
    lengths = mask.sum(1)
    out: Tensor | None = None
    for rows in lengths.argsort(stable=True).split(step):
        width = max(int(lengths[rows].max()), 1)
        some = body(ids[rows, :width], mask[rows, :width])
        out = some.new_zeros(*ids.shape, some.shape[2]) if out is None else out
        out[rows, :width] = some
    assert out is not None
    return out
