"""Batches for encoders in inference: their size, and texts grouped by length."""

from collections.abc import Callable

import torch
from torch import Tensor

_DEVICE_BATCH_SIZE = 64  # rows that keep an accelerator busy


def inference_batch_size(x: Tensor, cpu: int) -> int:
    """Rows of `x` to encode at once.

    Args:
        x: the inputs.
        cpu: the number on a CPU.

    Returns:
        All rows while gradients are computed or a graph is exported.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return max(len(x), 1)
    return cpu if x.device.type == "cpu" else _DEVICE_BATCH_SIZE


def encode_by_length(
    body: Callable[[Tensor, Tensor], Tensor], ids: Tensor, mask: Tensor, batch_size: int
) -> Tensor:
    """Encode texts in batches of similar length, with little padding.

    Args:
        body: ids (b, t) and mask (b, t) to tokens (b, t, D).
        ids: (B, T).
        mask: (B, T) bool, with padding at the end of rows.
        batch_size: b, at most.

    Returns:
        (B, T, D) tokens, zeros beyond the longest text of each batch.
    """
    lengths = mask.sum(1)
    out: Tensor | None = None
    for rows in lengths.argsort(stable=True).split(batch_size):
        width = max(int(lengths[rows].max()), 1)
        tokens = body(ids[rows, :width], mask[rows, :width])
        out = tokens.new_zeros(*ids.shape, tokens.shape[2]) if out is None else out
        out[rows, :width] = tokens
    assert out is not None
    return out
