"""Data-parallel training: `torchrun --nproc-per-node 2 -m aisle train …`.

Each process encodes its share of every batch. Outputs are gathered, so that any loss, also a contrastive one,
is that of the whole batch; the summed gradients of the shares are the gradient of the batch. Processes take
the same steps; the first one writes files.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from aisle.errors import AisleError
from aisle.models.registry import Joint, Output
from aisle.models.scores import LevelScores, TorchScores, TreeScores
from aisle.training.processes import rank, world_size


class ParallelError(AisleError):
    """Processes cannot train together."""


def broadcast_weights(*modules: nn.Module) -> None:
    """Set the parameters and buffers of all processes to those of the first."""
    if world_size() == 1:
        return
    for module in modules:
        for tensor in [*module.parameters(), *module.buffers()]:
            if not tensor.is_sparse:  # sparse: an index of the tree, equal in all processes
                dist.broadcast(tensor.detach(), src=0)


def process_share(rows: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Split a batch among processes.

    Args:
        rows: (B,) rows of the batch.

    Returns:
        The rows of this process, and the number of rows of each; () where there is one process. A process
        without rows gets one that does not count.
    """
    if world_size() == 1:
        return rows, ()
    shares = np.array_split(rows, world_size())
    share = shares[rank()]
    return share if len(share) else rows[:1], tuple(map(len, shares))


def gather(output: Output, sizes: Sequence[int]) -> Output:
    """Gather the outputs of all processes for one batch; gradients flow to this process's share.

    Args:
        output: of this process's share.
        sizes: rows of each process; () for one process.
    """
    if not sizes:
        return output

    def gathered(tensor: Tensor) -> Tensor:
        return _gather(tensor, sizes)

    views = output.joint.views
    return Output(
        Joint(
            gathered(output.joint.product),
            None if views is None else {name: gathered(vectors) for name, vectors in views.items()},
        ),
        _gather_scores(output.scores, sizes),
        {name: _gather_scores(scores, sizes) for name, scores in output.by_view.items()},
        {name: gathered(present) for name, present in output.present.items()},
    )


def _gather_scores(scores: TorchScores, sizes: Sequence[int]) -> TorchScores:
    if isinstance(scores, TreeScores):
        return TreeScores(_gather(scores.logits, sizes), scores.index)
    if isinstance(scores, LevelScores):
        logits = [_gather(level, sizes) for level in scores.logits]
        return LevelScores(logits, scores.index, scores.weights)
    raise ParallelError(
        f"a head that answers with {type(scores).__name__} learns in one process: leave torchrun out"
    )


def _gather(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    local = tensor[: sizes[rank()]]
    sent = local.detach().to(torch.uint8) if local.dtype == torch.bool else local.detach()
    padded = sent.new_zeros(max(sizes), *sent.shape[1:])
    padded[: len(sent)] = sent
    received = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(received, padded)
    shares = [share[:size].to(local.dtype) for share, size in zip(received, sizes, strict=True)]
    shares[rank()] = local
    return torch.cat(shares)


def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Sum gradients over processes; a gradient that is None in all processes stays None."""
    if world_size() == 1 or not parameters:
        return
    device = parameters[0].device
    has = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32, device=device)
    dist.all_reduce(has)
    by_dtype: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter, count in zip(parameters, has.tolist(), strict=True):
        if count:
            by_dtype.setdefault(parameter.dtype, []).append(parameter)
    for group in by_dtype.values():
        flat = torch.cat([_gradient(p).flatten() for p in group])
        dist.all_reduce(flat)
        for parameter, gradient in zip(group, flat.split([p.numel() for p in group]), strict=True):
            parameter.grad = gradient.view_as(parameter).clone()


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        return torch.zeros_like(parameter)
    return parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad


def average_buffers(module: nn.Module) -> None:
    """Average running statistics over processes."""
    for tensor in module.buffers() if world_size() > 1 else ():
        if tensor.is_floating_point() and not tensor.is_sparse:
            dist.all_reduce(tensor)
            tensor /= world_size()
