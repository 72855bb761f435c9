"""A linear model in a folder: safetensors and JSON, checked as every bundle is. No torch here.

`aisle.json` says `"runtime": "linear"`; `model.json` how scores are put together; `weights.safetensors` the
learned arrays; `views/NAME/` preparers; `encoders/KEY/` graphs of pretrained encoders.
"""

import dataclasses
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse

from aisle.data.catalog_format import FILE, CatalogFormat
from aisle.errors import AisleError, BundleError
from aisle.guarantee import Policy
from aisle.inference.card import model_card
from aisle.inference.folder import (
    MANIFEST,
    checked_manifest,
    described,
    find,
    recover,
    seal,
    write_folder,
    write_json,
)
from aisle.inference.knn_index import Memory
from aisle.inference.linear.predictor import LinearPredictor, TreeCounts
from aisle.inference.zero_shot import Growth
from aisle.models.linear.config import LinearSpec, encoder_key, readable_views
from aisle.models.linear.descriptor import ImageDescriptor
from aisle.models.linear.encoders import ABOUT, GRAPH, open_encoders
from aisle.models.linear.model import LinearModel
from aisle.models.linear.rbf import RBFWeights
from aisle.models.linear.reader import LinearReader
from aisle.models.linear.svm import LinearWeights
from aisle.models.preprocessing import Lexical, Pictures, Tokens, Vectors
from aisle.taxonomy import Taxonomy

FORMAT_VERSION = 1
RUNTIME = "linear"
_PREPARERS: dict[str, Any] = {
    "Tfidf": Lexical,
    "TextEncoder": Tokens,
    "ImageEncoder": Pictures,
    "ImageDescriptor": ImageDescriptor,
    "Vector": Vectors,
}
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "tokenizers", "onnxruntime", "pillow")


def save(predictor: LinearPredictor, folder: Path) -> LinearPredictor:
    """Write a bundle beside and rename it into place: a killed writer leaves the old one or the new one.

    Raises:
        BundleError: the folder exists and is no bundle, or cannot be written.
    """
    return write_folder(folder, lambda beside: _write(predictor, beside), (SafetensorError,))


def _write(predictor: LinearPredictor, folder: Path) -> LinearPredictor:
    model, reader = predictor.model, predictor.reader
    for name, preparer in reader.preparers.items():
        preparer.save(folder / "views" / name)
    for name, encoder in reader.encoders.items():
        home = folder / "encoders" / str(encoder_key(model.spec.views[name]))
        if not home.exists():
            home.mkdir(parents=True)
            for file in (GRAPH, ABOUT):
                shutil.copyfile(encoder.file.parent / file, home / file)
    save_file(_tensors(model), str(folder / "weights.safetensors"))
    about = {
        "spec": model.spec.model_dump(mode="json", exclude_none=True),
        "sizes": model.sizes,
        "gammas": {name: one.gamma for name, one in model.kernels.items()},
    }
    write_json(folder / "model.json", about)
    seen = np.sort(np.asarray(predictor.seen_keys, dtype=np.uint64))
    (folder / "seen.bin").write_bytes(seen.astype("<u8").tobytes())
    (folder / "taxonomy.json").write_text(predictor.taxonomy.to_json())
    (folder / "policy.json").write_text(predictor.policy.to_json())
    if predictor.memory is not None:
        predictor.memory.save(folder)
    if predictor.growth is not None:
        predictor.growth.save(folder)
    model_id = seal(described(folder))
    write_json(folder / "results.json", dict(predictor.results))
    if predictor.catalog_format is not None:
        predictor.catalog_format.save(folder)
    (folder / "README.md").write_text(model_card(predictor, model_id))
    manifest = {
        "format_version": FORMAT_VERSION,
        "runtime": RUNTIME,
        "model_id": model_id,
        "aisle": version("aisle"),
        "versions": {name: version(name) for name in _LIBRARIES},
        "files": described(folder),
    }
    write_json(folder / MANIFEST, {**manifest, "seal": seal(manifest)})
    return dataclasses.replace(predictor, model_id=model_id)


def load(folder: Path) -> LinearPredictor:
    """Read a bundle, or the one inside a run's folder.

    Raises:
        BundleError: it is missing, truncated, edited, or from a newer version.
        MissingExtraError: it reads a pretrained encoder, and onnxruntime is not installed.
    """
    folder = find(folder)
    recover(folder)
    manifest = checked_manifest(folder, FORMAT_VERSION, FORMAT_VERSION)
    try:
        return _read(folder, manifest)
    except AisleError:
        raise
    except Exception as error:  # whatever a malformed but sealed file makes its reader raise
        raise BundleError(f"{folder}: cannot be read: {type(error).__name__}: {error}") from error


def _read(folder: Path, manifest: dict[str, Any]) -> LinearPredictor:
    about = json.loads((folder / "model.json").read_text())
    spec = LinearSpec.model_validate(about["spec"])
    taxonomy = Taxonomy.from_json((folder / "taxonomy.json").read_text())
    preparers = {n: _PREPARERS[v.type].load(folder / "views" / n) for n, v in spec.views.items()}
    keys = {name: encoder_key(view) for name, view in spec.views.items()}
    homes = {name: folder / "encoders" / key for name, key in keys.items() if key}
    reader = LinearReader(readable_views(spec), preparers, open_encoders(homes, preparers))
    model = _model(spec, about, load_file(str(folder / "weights.safetensors")))
    return LinearPredictor(
        model=model,
        reader=reader,
        context=TreeCounts(taxonomy, model.counts),
        policy=Policy.from_json((folder / "policy.json").read_text()),
        model_id=manifest["model_id"],
        seen_keys=np.frombuffer((folder / "seen.bin").read_bytes(), dtype="<u8").astype(np.uint64),
        results=json.loads((folder / "results.json").read_text()),
        memory=Memory.load(folder) if (folder / "neighbours.json").exists() else None,
        growth=Growth.load(folder),
        catalog_format=CatalogFormat.load(folder) if FILE in manifest["files"] else None,
    )


def _tensors(model: LinearModel) -> dict[str, np.ndarray]:
    found = {"share": model.share, "counts": np.asarray(model.counts, np.int64), "basis": model.basis}
    for name, weights in (("terminals", model.terminals), ("level1", model.level1)):
        if weights is None:
            continue
        found[f"{name}.intercept"] = weights.intercept
        if sparse.issparse(weights.coef):
            csr = weights.coef.tocsr()
            found[f"{name}.data"] = csr.data.astype(np.float16)  # rounded to it when they were learned
            found[f"{name}.indices"], found[f"{name}.indptr"] = csr.indices, csr.indptr
        else:
            found[f"{name}.coef"] = weights.coef.astype(np.float16)
    for name, one in model.kernels.items():
        found[f"kernels.{name}.landmarks"] = one.landmarks.astype(np.float16)
        found[f"kernels.{name}.coef"], found[f"kernels.{name}.intercept"] = one.coef, one.intercept
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


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
