"""Whatever was saved, loaded by what its folder says it is. No torch here: only what needs it imports it."""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aisle.errors import AisleError, BundleError, first_line
from aisle.inference.folder import MANIFEST, find, read_manifest, runtime_of

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor


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
    home = find(folder)
    if runtime_of(home) == "ensemble":
        return _ensemble(home, trust_code, device)
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
    if runtime_of(home) == "linear":
        from aisle.inference.linear.bundle import load as load_linear

        if device not in ("auto", "cpu"):
            raise RuntimeDeviceError(f"{folder} is a linear model, which runs on the CPU: leave --device out")
        return cast("Predictor", load_linear(home))
    from aisle.inference.bundle import load_run
    from aisle.models.devices import device_of

    where = device_of(device)
    predictor = load_run(folder, trust_code)
    predictor.model.to(where)
    return predictor


def quickest(folder: Path, device: str = "cpu") -> Path:
    """Where to open what only has to answer: a run's own export (`RUN/onnx`) where it would answer on the CPU
    and that is the same model, weights and promise; else the folder as named. No torch is imported to tell.

    Raises:
        BundleError: a run that has not finished, or one of the two cannot be read.
    """
    twin = folder / "onnx"
    here = device == "cpu" or (device == "auto" and not _accelerated())
    usable = runtime_of(twin) == "onnx" and importlib.util.find_spec("onnxruntime") is not None
    if not (here and usable):
        return folder
    return twin if _named(twin) == _named(find(folder)) else folder


def _accelerated() -> bool:
    """Whether a network may find something better than the CPU."""
    return sys.platform == "darwin" or any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _named(home: Path) -> tuple[str, str]:
    """A bundle's id, and the checksum of its promise."""
    manifest = read_manifest(home)
    try:
        return manifest["model_id"], manifest["files"]["policy.json"]["sha256"]
    except (KeyError, TypeError) as error:
        raise BundleError(f"{home}: its {MANIFEST} is damaged: {first_line(error)}") from error


def _ensemble(folder: Path, trust_code: bool, device: str) -> "Predictor":
    from aisle.inference import ensemble

    return cast("Predictor", ensemble.load(folder, trust_code, device))
