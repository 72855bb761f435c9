"""Whatever was saved, loaded by what its folder says it is. No torch here: only what needs it imports it."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from aisle.errors import AisleError
from aisle.inference.folder import find, runtime_of

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

ENSEMBLE = "ensemble.json"


class RuntimeDeviceError(AisleError):
    """An exported model is asked to run where it cannot."""


def open_model(folder: Path, trust_code: bool = False, device: str = "cpu") -> "Predictor":
    """A bundle, the run that holds one, an exported model, a cascade or an ensemble; all answer what a
    predictor is asked by those who load one. device: where a network runs (cpu, cuda, mps, auto); exported
    ones run on the CPU.

    Raises:
        BundleError: missing, truncated, edited, or from a newer version.
        DeviceError: there is no such device here.
    """
    if (folder / ENSEMBLE).exists():
        return _ensemble(folder, trust_code, device)
    home = find(folder)
    if runtime_of(home) == "cascade":
        from aisle.inference import cascade

        return cast("Predictor", cascade.load(home, trust_code, device))
    if runtime_of(home) == "onnx":
        from aisle.inference.onnx.bundle import load

        if device not in ("auto", "cpu"):
            raise RuntimeDeviceError(
                f"{folder} is an exported model, which runs on the CPU: leave --device out"
            )
        return cast("Predictor", load(home))
    from aisle.inference.bundle import load_run
    from aisle.model.devices import device_of

    where = device_of(device)
    predictor = load_run(folder, trust_code)
    predictor.model.to(where)
    return predictor


def _ensemble(folder: Path, trust_code: bool, device: str) -> "Predictor":
    from aisle.inference import ensemble
    from aisle.model.devices import device_of

    where = device_of(device)
    found = ensemble.load(folder, trust_code)
    for member in found.members:
        member.model.to(where)
    return cast("Predictor", found)
