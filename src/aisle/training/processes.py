"""Rank and group of this process among those that torchrun started; a single process imports no torch."""

import os
from typing import Any, TypeVar

T = TypeVar("T")


def world_size() -> int:
    """Number of processes that train together, from torchrun's `WORLD_SIZE`."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def is_first() -> bool:
    """Whether this process writes files and reports progress."""
    return rank() == 0


def broadcast(value: T) -> T:
    """The value that the first process passes."""
    if world_size() == 1:
        return value
    import torch.distributed as dist

    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def join_group(device: Any) -> None:
    """Join the process group, if there is one.

    Args:
        device: the device of the network.
    """
    if world_size() > 1 and device is not None:
        import torch
        import torch.distributed as dist

        if device.type == "cuda":
            torch.cuda.set_device(device)
        if not dist.is_initialized():
            dist.init_process_group("gloo" if device.type == "cpu" else "nccl")


def leave_group() -> None:
    """Leave the process group."""
    if world_size() > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()
