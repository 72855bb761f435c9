"""Which of several training processes this one is, as torchrun says. One alone imports no torch."""

import os
from typing import Any, TypeVar

T = TypeVar("T")


def world() -> int:
    """How many processes learn together, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this one, from 0."""
    return int(os.environ.get("RANK", "0")) if world() > 1 else 0


def first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0


def share(value: T) -> T:
    """What the first process has."""
    if world() == 1:
        return value
    import torch.distributed as dist

    held = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def begin(device: Any) -> None:
    """Join the process group, if there is one. device: where the network is trained."""
    if world() > 1 and device is not None:
        import torch
        import torch.distributed as dist

        if device.type == "cuda":
            torch.cuda.set_device(device)
        if not dist.is_initialized():
            dist.init_process_group("gloo" if device.type == "cpu" else "nccl")


def end() -> None:
    """Leave the process group."""
    if world() > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()
