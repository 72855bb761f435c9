"""Devices and precisions of networks, by name."""

import os
from typing import TYPE_CHECKING

from aisle.errors import AisleError, did_you_mean

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


class DeviceError(AisleError):
    """There is no such device on this machine."""


def device_of(name: str) -> "torch.device":
    """The torch device of a name.

    Args:
        name: cpu, cuda (the GPU of this process's `LOCAL_RANK`), mps, or auto for the first available of
            cuda, mps, cpu.

    Raises:
        DeviceError: the name is unknown, or the device is not on this machine.
    """
    if name not in DEVICES:
        raise DeviceError(
            f"there is no device {name!r}.{did_you_mean(name, DEVICES)} Known: {', '.join(DEVICES)}"
        )
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, is_available in available.items() if is_available)
    elif not available[name]:
        raise DeviceError(f"no {name} device is usable on this machine; leave --device out, or say cpu")
    return torch.device(name, int(os.environ.get("LOCAL_RANK", 0))) if name == "cuda" else torch.device(name)


def precision_of(name: str | None, device: "torch.device") -> str:
    """The precision of training on a device.

    Args:
        name: fp32, bf16 or fp16. By default bf16 on GPUs of compute capability 8.0 and above (older ones
            emulate it), else fp32: on CPUs bf16 was 7 to 24 times slower.
        device: the device.

    Raises:
        DeviceError: the device does not compute in this precision.
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
