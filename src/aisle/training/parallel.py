"""Several processes that learn as one: `torchrun --nproc-per-node 2 -m aisle train …`.

Each process reads its share of every batch. What the network said of all shares is gathered, so that any
loss, also one that compares products with one another, is that of the whole batch; the gradients of the
shares then add up to the batch's, whatever its size and its rows' weights. All take the same step; the first
one writes.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from aisle.errors import AisleError
from aisle.models.registry import Joint, Output
from aisle.models.scores import LevelScores, TorchScores, TreeScores
from aisle.training.processes import rank, world


class ParallelError(AisleError):
    """Processes cannot learn together."""


def agree(*modules: nn.Module) -> None:
    """Begin from the first process's weights."""
    if world() == 1:
        return
    for module in modules:
        for tensor in [*module.parameters(), *module.buffers()]:
            if not tensor.is_sparse:  # an index of the tree, the same everywhere
                dist.broadcast(tensor.detach(), src=0)


def cut(rows: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """This process's share of a batch's rows, and the size of each one's; () where there is one process.

    A share without rows, of a batch smaller than the processes are many, gets one that does not count.
    """
    if world() == 1:
        return rows, ()
    shares = np.array_split(rows, world())
    own = shares[rank()]
    return own if len(own) else rows[:1], tuple(map(len, shares))


def gather(output: Output, sizes: Sequence[int]) -> Output:
    """What all processes' networks said of one batch, in its rows' order; gradients flow to the own share."""
    if not sizes:
        return output

    def whole(tensor: Tensor) -> Tensor:
        return _whole(tensor, sizes)

    views = None if output.joint.views is None else {name: whole(v) for name, v in output.joint.views.items()}
    return Output(
        Joint(whole(output.joint.product), views),
        _scores(output.scores, sizes),
        {name: _scores(scores, sizes) for name, scores in output.by_view.items()},
        {name: whole(present) for name, present in output.present.items()},
    )


def _scores(scores: TorchScores, sizes: Sequence[int]) -> TorchScores:
    if isinstance(scores, TreeScores):
        return TreeScores(_whole(scores.logits, sizes), scores.index)
    if isinstance(scores, LevelScores):
        return LevelScores([_whole(one, sizes) for one in scores.logits], scores.index, scores.weights)
    raise ParallelError(
        f"a head that answers with {type(scores).__name__} learns in one process: leave torchrun out"
    )


def _whole(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    own = tensor[: sizes[rank()]]
    sent = own.detach().to(torch.uint8) if own.dtype == torch.bool else own.detach()
    padded = sent.new_zeros(max(sizes), *sent.shape[1:])
    padded[: len(sent)] = sent
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    pieces = [part[:size].to(own.dtype) for part, size in zip(parts, sizes, strict=True)]
    pieces[rank()] = own
    return torch.cat(pieces)


def add_up(parameters: Sequence[nn.Parameter]) -> None:
    """Add all processes' gradients. One that no process has stays none: its optimizer passes it by."""
    if world() == 1 or not parameters:
        return
    device = parameters[0].device
    has = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32, device=device)
    dist.all_reduce(has)
    some = [p for p, count in zip(parameters, has.tolist(), strict=True) if count]
    kinds: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter in some:
        kinds.setdefault(parameter.dtype, []).append(parameter)
    for group in kinds.values():
        flat = torch.cat([_gradient(p).flatten() for p in group])
        dist.all_reduce(flat)
        for parameter, piece in zip(group, flat.split([p.numel() for p in group]), strict=True):
            parameter.grad = piece.view_as(parameter).clone()


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        return torch.zeros_like(parameter)
    return parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad


def average(module: nn.Module) -> None:
    """Running statistics of each process's own share become their mean."""
    for tensor in module.buffers() if world() > 1 else ():
        if tensor.is_floating_point() and not tensor.is_sparse:
            dist.all_reduce(tensor)
            tensor /= world()
