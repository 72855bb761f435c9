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
    """Find the others, if there are any. device: where the network learns."""
    if world() > 1 and device is not None:
        from accelerate import PartialState

        PartialState(cpu=device.type == "cpu")


def end() -> None:
    """Part from the others."""
    if world() > 1:
        from accelerate import PartialState

        if PartialState._shared_state:
            PartialState().destroy_process_group()
