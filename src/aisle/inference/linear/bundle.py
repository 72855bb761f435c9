"""The files of a linear model in its bundle. No torch here.

`model.json` says how scores are put together; `weights.safetensors` holds the learned arrays; `views/NAME/`
the preprocessors; `encoders/KEY/` graphs of pretrained encoders.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse

from aisle.inference.folder import write_json
from aisle.models.linear.config import LinearSpec, encoder_key, linear_views
from aisle.models.linear.descriptor import ImageDescriptor
from aisle.models.linear.encoders import ABOUT, GRAPH, open_encoders
from aisle.models.linear.model import LinearModel
from aisle.models.linear.rbf import RBFWeights
from aisle.models.linear.reader import LinearReader
from aisle.models.linear.svm import LinearWeights
from aisle.models.preprocessing import (
    ImagePreprocessor,
    TfidfPreprocessor,
    TokenPreprocessor,
    VectorPreprocessor,
)

_PREPARERS: dict[str, Any] = {
    "Tfidf": TfidfPreprocessor,
    "TextEncoder": TokenPreprocessor,
    "ImageEncoder": ImagePreprocessor,
    "ImageDescriptor": ImageDescriptor,
    "Vector": VectorPreprocessor,
}


def write_linear(model: LinearModel, reader: LinearReader, folder: Path) -> None:
    """Write the model's files into a folder."""
    for name, preprocessor in reader.preprocessors.items():
        preprocessor.save(folder / "views" / name)
    for name, encoder in reader.encoders.items():
        encoder_folder = folder / "encoders" / str(encoder_key(model.spec.views[name]))
        if not encoder_folder.exists():
            encoder_folder.mkdir(parents=True)
            for file in (GRAPH, ABOUT):
                shutil.copyfile(encoder.file.parent / file, encoder_folder / file)
    save_file(_tensors(model), str(folder / "weights.safetensors"))
    about = {
        "spec": model.spec.model_dump(mode="json", exclude_none=True),
        "sizes": model.sizes,
        "gammas": {name: kernel.gamma for name, kernel in model.kernels.items()},
    }
    write_json(folder / "model.json", about)


def read_linear(folder: Path) -> tuple[LinearModel, LinearReader]:
    """Read what `write_linear` wrote."""
    about = json.loads((folder / "model.json").read_text())
    spec = LinearSpec.model_validate(about["spec"])
    preprocessors = {n: _PREPARERS[v.type].load(folder / "views" / n) for n, v in spec.views.items()}
    keys = {name: encoder_key(view) for name, view in spec.views.items()}
    homes = {name: folder / "encoders" / key for name, key in keys.items() if key}
    reader = LinearReader(linear_views(spec), preprocessors, open_encoders(homes, preprocessors))
    return _model(spec, about, load_file(str(folder / "weights.safetensors"))), reader


def _tensors(model: LinearModel) -> dict[str, np.ndarray]:
    tensors = {"share": model.share, "counts": np.asarray(model.counts, np.int64), "basis": model.basis}
    for name, weights in (("terminals", model.terminals), ("level1", model.level1)):
        if weights is None:
            continue
        tensors[f"{name}.intercept"] = weights.intercept
        if sparse.issparse(weights.coef):
            csr = weights.coef.tocsr()
            tensors[f"{name}.data"] = csr.data.astype(np.float16)  # rounded to it when they were learned
            tensors[f"{name}.indices"], tensors[f"{name}.indptr"] = csr.indices, csr.indptr
        else:
            tensors[f"{name}.coef"] = weights.coef.astype(np.float16)
    for name, kernel in model.kernels.items():
        tensors[f"kernels.{name}.landmarks"] = kernel.landmarks.astype(np.float16)
        tensors[f"kernels.{name}.coef"], tensors[f"kernels.{name}.intercept"] = kernel.coef, kernel.intercept
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}


def _model(spec: LinearSpec, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> LinearModel:
    def weights(name: str) -> LinearWeights | None:
        if f"{name}.intercept" not in arrays:
            return None
        intercept = arrays[f"{name}.intercept"]
        if f"{name}.coef" in arrays:
            return LinearWeights(arrays[f"{name}.coef"].astype(np.float32), intercept)
        data = arrays[f"{name}.data"].astype(np.float32)
        shape = (sum(about["sizes"].values()), len(intercept))
        parts = (data, arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
        return LinearWeights(sparse.csr_matrix(parts, shape=shape), intercept)

    kernels = {
        name: RBFWeights(
            arrays[f"kernels.{name}.landmarks"].astype(np.float32),
            gamma,
            arrays[f"kernels.{name}.coef"],
            arrays[f"kernels.{name}.intercept"],
        )
        for name, gamma in about["gammas"].items()
    }
    return LinearModel(
        spec,
        {name: int(size) for name, size in about["sizes"].items()},
        weights("terminals"),
        weights("level1"),
        kernels,
        arrays["share"],
        arrays["counts"],
        arrays["basis"],
    )
