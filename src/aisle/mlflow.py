"""MLflow flavor: log, load and serve models as `python_function` (`mlflow.pyfunc`).

The artifact is the model's bundle, read by `aisle.load`: nothing is pickled.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle import __version__, data, workflow
from aisle.errors import AisleError, extra

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

    from aisle.inference.base_predictor import BasePredictor

_LOADER = "aisle.mlflow"  # where MLflow finds `_load_pyfunc`
_EXAMPLE = "red running shoes"
_EXTRAS = {"torch": "torch", "onnx": "onnx"}  # by kind of model


def save_model(
    model: BasePredictor,
    path: str | Path,
    *,
    signature: ModelSignature | None = None,
    input_example: Any = None,
    pip_requirements: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Write a model as an MLflow model.

    Args:
        model: The model.
        path: A new folder.
        signature: Default: `signature_of(model)`.
        input_example: Rows as a data frame. Default: one product that has the model's text fields.
        pip_requirements: Default: this version of Aisle, with the extra that the model needs.
        metadata: Free data in the MLflow model's metadata.

    Raises:
        MissingExtraError: MLflow or pandas is not installed.
    """
    pyfunc = _pyfunc()
    with tempfile.TemporaryDirectory(prefix="aisle-mlflow-") as folder:
        model.save(Path(folder) / "model")
        pyfunc.save_model(
            path=str(path),
            data_path=str(Path(folder) / "model"),
            **_arguments(model, signature, input_example, pip_requirements, metadata),
        )


def log_model(
    model: BasePredictor,
    name: str = "model",
    *,
    registered_model_name: str | None = None,
    signature: ModelSignature | None = None,
    input_example: Any = None,
    pip_requirements: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> ModelInfo:
    """Log a model to the current MLflow run, with the metrics that were measured of it.

    Args:
        model: The model.
        name: Its name in the run.
        registered_model_name: Register it under this name in the model registry.
        signature: As for `save_model`.
        input_example: As for `save_model`.
        pip_requirements: As for `save_model`.
        metadata: As for `save_model`.

    Returns:
        What MLflow knows of it: `model_uri` is its address.

    Raises:
        MissingExtraError: MLflow or pandas is not installed.
    """
    pyfunc = _pyfunc()
    with tempfile.TemporaryDirectory(prefix="aisle-mlflow-") as folder:
        model.save(Path(folder) / "model")
        return pyfunc.log_model(
            name=name,
            data_path=str(Path(folder) / "model"),
            registered_model_name=registered_model_name,
            **_arguments(model, signature, input_example, pip_requirements, metadata),
        )


def load_model(model_uri: str, *, trust_code: bool = False, device: str = "cpu") -> BasePredictor:
    """Load the model itself, with all its methods, from an MLflow model.

    Args:
        model_uri: `models:/NAME/VERSION`, `runs:/RUN_ID/model`, a folder, or any other address of MLflow.
        trust_code: As for `aisle.load`.
        device: As for `aisle.load`.

    Raises:
        AisleError: The MLflow model is of another flavor.
        MissingExtraError: MLflow is not installed.
    """
    extra("mlflow", "mlflow", "aisle.mlflow")
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model

    folder = Path(download_artifacts(artifact_uri=model_uri))
    flavor = Model.load(str(folder)).flavors.get("python_function", {})
    if flavor.get("loader_module") != _LOADER:
        raise AisleError(f"{model_uri} is not a model of Aisle: aisle.mlflow.log_model writes one")
    return workflow.load(folder / flavor["data"], trust_code=trust_code, device=device)


def signature_of(model: BasePredictor) -> ModelSignature:
    """The columns that a model reads, all optional, of any type; and those of its predictions.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    extra("mlflow", "mlflow", "aisle.mlflow")
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType, Array, Object, Property

    text, number = DataType.string, DataType.double
    alternative = Object([Property("path", text), Property("confidence", number)])
    types: dict[str, Any] = {
        "confidence": Array(number),
        "alternatives": Array(alternative),
        "problems": Array(text),
    }
    inputs: list[Any] = [ColSpec(AnyType(), name, required=False) for name in _columns(model)]
    outputs: list[Any] = [
        ColSpec(types.get(name, text), name) if name != "threshold" else ColSpec(number, name, required=False)
        for name in _output_names()
    ]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _pyfunc() -> Any:
    extra("pandas", "mlflow", "aisle.mlflow")
    return extra("mlflow.pyfunc", "mlflow", "aisle.mlflow")


def _arguments(
    model: BasePredictor,
    signature: ModelSignature | None,
    input_example: Any,
    pip_requirements: list[str] | None,
    metadata: dict[str, Any] | None,
) -> dict[str, Any]:
    with_extra = _EXTRAS.get(model.runtime)
    name = f"aisle[{with_extra}]" if with_extra else "aisle"
    return {
        "loader_module": _LOADER,
        "signature": signature or signature_of(model),
        "input_example": _example(model) if input_example is None else input_example,
        "pip_requirements": pip_requirements or [f"{name}=={__version__}", "pandas"],
        "metadata": {"aisle_model_id": model.model_id, **(metadata or {})},
    }


def _columns(model: BasePredictor) -> list[str]:
    """The columns that a model and its rules read: those of its training catalog, else its fields."""
    roles = {} if model.catalog_format is None else model.catalog_format.columns
    found: dict[str, None] = {}
    for role in ("id", "title", "description", "fields", "images", "vectors"):
        value = roles.get(role) or ()
        found |= dict.fromkeys([value] if isinstance(value, str) else value)
    if not found:
        fields = [field for view in model.inputs if view.modality == "text" for field in view.fields]
        images = ["image"] if any(view.modality == "image" for view in model.inputs) else []
        found = dict.fromkeys(["id", *fields, *images])
    if model.rules is not None:
        found |= dict.fromkeys(name for name in model.rules.named_fields if not roles.get(name))
    return [name for name in found if name != "*"]


def _example(model: BasePredictor) -> pd.DataFrame:
    import pandas as pd

    written = model.catalog_format
    roles = written.columns if written is not None else {}
    names = [name for name in (roles.get("title") or "title", roles.get("description")) if name]
    return pd.DataFrame([dict.fromkeys(names, _EXAMPLE)])


def _output_names() -> list[str]:
    from aisle.inference.prediction_files import SCHEMA

    return SCHEMA.names


class _PyFunc:
    """What `mlflow.pyfunc.load_model` wraps."""

    def __init__(self, model: BasePredictor) -> None:
        self.model = model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row per product, in order, with the index of the input.

        Args:
            model_input: Products as a data frame, or a list of dicts.
            params: None are known.
        """
        import pandas as pd

        frame = model_input if isinstance(model_input, pd.DataFrame) else pd.DataFrame(model_input)
        catalog = data.read(frame.reset_index(drop=True), like=self.model, labels=False)
        rows = [prediction.to_dict() for prediction in self.model.predict(catalog)]
        return pd.DataFrame(rows, index=frame.index, columns=_output_names())


def _load_pyfunc(data_path: str) -> _PyFunc:
    return _PyFunc(workflow.load(data_path))
