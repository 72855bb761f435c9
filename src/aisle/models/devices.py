"""Where a network runs, by name."""

import os
from typing import TYPE_CHECKING

from aisle.errors import AisleError, did_you_mean

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


class DeviceError(AisleError):
    """There is no such device here."""


def device_of(name: str) -> "torch.device":
    """cpu, cuda (of several processes' each its own), mps; auto: the best one there is.

    Raises:
        DeviceError: unknown, or not on this machine.
    """
    if name not in DEVICES:
        raise DeviceError(
            f"there is no device {name!r}.{did_you_mean(name, DEVICES)} Known: {', '.join(DEVICES)}"
        )
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(one for one, is_there in there.items() if is_there)
    elif not there[name]:
        raise DeviceError(f"no {name} device is usable on this machine; leave --device out, or say cpu")
    return torch.device(name, int(os.environ.get("LOCAL_RANK", 0))) if name == "cuda" else torch.device(name)


def precision_of(name: str | None, device: "torch.device") -> str:
    """What a network learns in on a device: fp32, bf16 or fp16. Without a name, bf16 on GPUs that compute in
    it (compute capability 8.0 and above; older ones emulate it), else fp32. On CPUs bf16 was 7 to 24 times
    slower.

    Raises:
        DeviceError: this device does not compute in it.
    """
    import torch

    native = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    if name is None:
        return "bf16" if native else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise DeviceError(f"precision fp16 needs a CUDA GPU, not {device.type}: use fp32 or bf16")
    if name == "bf16" and device.type == "cuda" and not native:
        major, minor = torch.cuda.get_device_capability(device)
        raise DeviceError(
            f"precision bf16 needs compute capability 8.0, and this GPU has {major}.{minor}: use fp16 or fp32"
        )
    return name
