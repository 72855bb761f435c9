"""Where a network runs, by name."""

import os

import torch

from aisle.errors import AisleError, did_you_mean

DEVICES = ("auto", "cpu", "cuda", "mps")


class DeviceError(AisleError):
    """There is no such device here."""


def device_of(name: str) -> torch.device:
    """cpu, cuda (of several processes' each its own), mps; auto: the best one there is.

    Raises:
        DeviceError: unknown, or not on this machine.
    """
    if name not in DEVICES:
        raise DeviceError(
            f"there is no device {name!r}.{did_you_mean(name, DEVICES)} Known: {', '.join(DEVICES)}"
        )
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(one for one, is_there in there.items() if is_there)
    elif not there[name]:
        raise DeviceError(f"no {name} device is usable on this machine; leave --device out, or say cpu")
    return torch.device(name, int(os.environ.get("LOCAL_RANK", 0))) if name == "cuda" else torch.device(name)
