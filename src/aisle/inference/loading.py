"""Loads saved models of any kind. Torch is imported only by models that need it."""

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.errors import AisleError, BundleError, first_line
from aisle.inference.folder import MANIFEST, find, read_manifest, runtime_of
from aisle.inference.hub import download, hub_address

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor


class RuntimeDeviceError(AisleError):
    """An exported model cannot run on the requested device."""


def at_precision(model: Any, precision: float) -> Any:
    """The same model at another point of its operating curve; its id names the precision.

    Raises:
        PolicyError: the curve has no point of this precision.
    """
    policy = model.policy.at(precision)
    if policy.settings.precision == model.policy.settings.precision:
        return model
    model_id = f"{model.model_id}@{policy.settings.precision:g}"
    return dataclasses.replace(model.with_policy(policy), model_id=model_id)


def open_model(folder: Path, trust_code: bool = False, device: str = "cpu") -> "Predictor":
    """Open a saved model of any kind: a bundle, or the run that holds one.

    Args:
        folder: the bundle or the run; `hf://org/model` for one of the Hugging Face Hub.
        trust_code: import code from outside Aisle that the model names.
        device: where networks run (cpu, cuda, mps, auto); linear and exported models run on the CPU.

    Raises:
        BundleError: missing, truncated, edited, malformed or of another format.
        DeviceError: there is no such device here.
        HubError: the model cannot be downloaded.
    """
    address = hub_address(folder)
    bundle = find(folder if address is None else download(address))
    runtime = runtime_of(bundle)
    if runtime in ("linear", "onnx") and device not in ("auto", "cpu"):
        kind = "an exported model" if runtime == "onnx" else "a linear model"
        raise RuntimeDeviceError(f"{folder} is {kind}, which runs on the CPU: leave --device out")

    def member(folder: Path) -> Any:
        on_cpu = runtime_of(folder) in ("linear", "onnx")
        return open_model(folder, trust_code, "cpu" if on_cpu else device)

    if runtime == "ensemble":
        from aisle.inference.ensemble import Ensemble

        model: Any = Ensemble.load(bundle, member)
    elif runtime == "cascade":
        from aisle.inference.cascade import Cascade

        model = Cascade.load(bundle, member)
    elif runtime == "migrated":
        from aisle.inference.migration import MigratedModel

        model = MigratedModel.load(bundle, member)
    elif runtime == "onnx":
        from aisle.inference.onnx.predictor import OnnxPredictor

        model = OnnxPredictor.load(bundle)
    elif runtime == "linear":
        from aisle.inference.linear.predictor import LinearPredictor

        model = LinearPredictor.load(bundle)
    else:
        from aisle.inference.predictor import Predictor
        from aisle.models.devices import device_of

        where = device_of(device)
        model = Predictor.load(bundle, trust_code)
        model.model.to(where)
    return model


def prefer_exported(folder: Path, device: str = "cpu") -> Path:
    """The folder to open for predictions: a run's own export (`RUN/onnx`) where the run would predict on the
    CPU and the export has the same weights and guarantee; else `folder`. Imports no torch.

    Raises:
        BundleError: a run that has not finished, or one of the two cannot be read.
    """
    exported = folder / "onnx"
    on_cpu = device == "cpu" or (device == "auto" and not _accelerated())
    usable = runtime_of(exported) == "onnx" and importlib.util.find_spec("onnxruntime") is not None
    if not (on_cpu and usable):
        return folder
    return exported if _named(exported) == _named(find(folder)) else folder


def _accelerated() -> bool:
    """Whether this machine may have an accelerator."""
    return sys.platform == "darwin" or any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _named(home: Path) -> tuple[str, str, str]:
    """A bundle's id, and the checksums of its policy and of its rules."""
    manifest = read_manifest(home)
    try:
        files = manifest["files"]
        rules = files.get("rules.json", {}).get("sha256", "")
        return manifest["model_id"], files["policy.json"]["sha256"], rules
    except (KeyError, TypeError) as error:
        raise BundleError(f"{home}: its {MANIFEST} is damaged: {first_line(error)}") from error
