"""An exported model in a folder. No torch here.

`aisle.json` says `"runtime": "onnx"`; `network.json` which view is read how. `graphs/*.onnx`: an encoder
each, shared by views that share one, and `joint.onnx`; `tables.safetensors`: words to vectors;
`views/NAME/`: preparers; the rest as any bundle's.
"""

import dataclasses
import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from aisle.data.catalog_format import FILE, CatalogFormat
from aisle.errors import AisleError, BundleError
from aisle.guarantee import Policy
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
from aisle.inference.onnx.predictor import Counted, OnnxPredictor
from aisle.models import preprocessing
from aisle.models.onnx_runtime import Encode, Encoder, Graph, Sight, Table
from aisle.models.views import View
from aisle.taxonomy import Taxonomy

FORMAT_VERSION = 1
RUNTIME = "onnx"
_MOST_DIM = 1 << 16
_KEPT = ("graphs", "views", "tables.safetensors", "network.json", "README.md")


def save(predictor: OnnxPredictor, folder: Path) -> OnnxPredictor:
    """Write an exported model, from the folder that its graphs are in.

    Raises:
        BundleError: the folder exists and is no bundle, or cannot be written.
    """

    def write(beside: Path) -> str:
        for name in _KEPT:
            source = predictor.files / name
            if source.is_dir():
                shutil.copytree(source, beside / name)
            elif source.exists():
                shutil.copyfile(source, beside / name)
        return _write_rest(predictor, beside)

    model_id = write_folder(folder, write, (SafetensorError,))
    return dataclasses.replace(predictor, files=folder, model_id=model_id)


def _write_rest(predictor: OnnxPredictor, folder: Path) -> str:
    (folder / "seen.bin").write_bytes(np.sort(predictor.seen_keys).astype("<u8").tobytes())
    (folder / "taxonomy.json").write_text(predictor.taxonomy.to_json())
    (folder / "policy.json").write_text(predictor.policy.to_json())
    if predictor.memory is not None:
        predictor.memory.save(folder)
    twin = predictor.network["twin_of"]
    if twin and twin["policy"] == seal(json.loads(predictor.policy.to_json())):
        model_id = twin["model_id"]  # the same weights and promises: the same name
    else:
        model_id = seal(described(folder))
    write_json(folder / "results.json", dict(predictor.results))
    if predictor.catalog_format is not None:
        predictor.catalog_format.save(folder)
    manifest: dict[str, Any] = {"format_version": FORMAT_VERSION, "runtime": RUNTIME, "model_id": model_id}
    manifest |= {"aisle": version("aisle"), "versions": _versions(), "files": described(folder)}
    write_json(folder / MANIFEST, {**manifest, "seal": seal(manifest)})
    return model_id


def _versions() -> dict[str, str]:
    found = {}
    for name in ("onnxruntime", "onnx", "torch", "tokenizers", "numpy", "pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # what only exports, or only answers
            continue
    return found


def load(folder: Path) -> OnnxPredictor:
    """Read an exported model, or the one inside a run's folder.

    Raises:
        BundleError: missing, truncated, edited, or from a newer version.
        MissingExtraError: onnxruntime is not installed.
    """
    folder = find(folder)
    recover(folder)
    manifest = checked_manifest(folder, FORMAT_VERSION, FORMAT_VERSION)
    try:
        found = read(folder, manifest["model_id"])
        return found if FILE in manifest["files"] else dataclasses.replace(found, catalog_format=None)
    except AisleError:
        raise
    except Exception as error:  # a file that is there but is not what it should be
        raise BundleError(f"{folder}: cannot be read: {type(error).__name__}: {error}") from error


def read(folder: Path, model_id: str = "unsaved") -> OnnxPredictor:
    """What `save` and `export` wrote, unchecked."""
    network = json.loads((folder / "network.json").read_text())
    tables = load_file(str(folder / "tables.safetensors")) if network["tables"] else {}
    graphs: dict[str, Graph] = {}
    for said in network["views"].values():
        if said["graph"] and said["graph"] not in graphs:
            graphs[said["graph"]] = Graph(folder / "graphs" / said["graph"])
    taxonomy = Taxonomy.from_json((folder / "taxonomy.json").read_text())
    results = folder / "results.json"
    joint = Graph(folder / "graphs" / "joint.onnx")
    for name, said in network["views"].items():
        width = joint.widths.get(f"{name}.pooled", said["dim"])
        if width != said["dim"] or not 0 <= said["dim"] <= _MOST_DIM:
            raise BundleError(f"{folder}: view {name!r} is {said['dim']} wide, but its graph reads {width}")
    return OnnxPredictor(
        context=Counted(taxonomy, np.array(network["terminal_counts"], dtype=np.int64)),
        sights={name: _sight(folder, name, said, graphs, tables) for name, said in network["views"].items()},
        joint=joint,
        policy=Policy.from_json((folder / "policy.json").read_text()),
        files=folder,
        network=network,
        model_id=model_id,
        remembered=tuple(network["remembered"]),
        seen_keys=np.frombuffer((folder / "seen.bin").read_bytes(), dtype="<u8").astype(np.uint64),
        results=json.loads(results.read_text()) if results.exists() else {},
        memory=Memory.load(folder) if (folder / "neighbours.json").exists() else None,
        catalog_format=CatalogFormat.load(folder),
    )


def _sight(
    folder: Path, name: str, said: dict[str, Any], graphs: dict[str, Graph], tables: dict[str, np.ndarray]
) -> Sight:
    view = View(name, said["modality"], tuple(said["fields"]), tuple(said["others"]), said["pictures"])
    if said["preparer"] not in preprocessing.__all__:
        raise BundleError(f"{folder}: there is no preparer {said['preparer']!r}; upgrade Aisle")
    preparer = getattr(preprocessing, said["preparer"]).load(folder / "views" / name)
    encode: Encode = Encoder(graphs[said["graph"]]) if said["graph"] else Table(tables[name])
    if isinstance(preparer, preprocessing.Vectors) and preparer.dim > _MOST_DIM:
        raise BundleError(f"{folder}: view {name!r} has vectors of {preparer.dim}; at most {_MOST_DIM:,}")
    return Sight(view, preparer, encode, said["dim"])
