"""The files of an exported model in its bundle. No torch here.

`network.json` describes the views. `graphs/*.onnx` are encoders, which views may share, and `joint.onnx`:
fusion and head. `tables.safetensors` holds the TF-IDF tables (F, D), `views/NAME/` the preprocessors.
"""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file

from aisle.errors import BundleError
from aisle.models import preprocessing
from aisle.models.onnx_runtime import ArrayEncoder, GraphEncoder, OnnxGraph, OnnxView, TableEncoder
from aisle.models.views import View

_MOST_DIM = 1 << 16
_OWN = ("graphs", "views", "tables.safetensors", "network.json", "README.md")


class OnnxParts(NamedTuple):
    """The content of an exported model's files: `network.json`, its views, the graph of fusion and head."""

    network: dict[str, Any]
    onnx_views: dict[str, OnnxView]
    joint: OnnxGraph


def copy_files(source: Path, folder: Path) -> None:
    """Copy an exported model's own files from one folder to another."""
    for name in _OWN:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name)
        elif (source / name).exists():
            shutil.copyfile(source / name, folder / name)


def read_onnx(folder: Path) -> OnnxParts:
    """Read an exported model's own files.

    Raises:
        BundleError: a view's width does not fit its graph, or a preprocessor is unknown.
        MissingExtraError: onnxruntime is not installed.
    """
    network = json.loads((folder / "network.json").read_text())
    tables = load_file(str(folder / "tables.safetensors")) if network["tables"] else {}
    graphs: dict[str, OnnxGraph] = {}
    for about in network["views"].values():
        if about["graph"] and about["graph"] not in graphs:
            graphs[about["graph"]] = OnnxGraph(folder / "graphs" / about["graph"])
    joint = OnnxGraph(folder / "graphs" / "joint.onnx")
    for name, about in network["views"].items():
        width = joint.widths.get(f"{name}.pooled", about["dim"])
        if width != about["dim"] or not 0 <= about["dim"] <= _MOST_DIM:
            raise BundleError(f"{folder}: view {name!r} is {about['dim']} wide, but its graph reads {width}")
    onnx_views = {
        name: _onnx_view(folder, name, about, graphs, tables) for name, about in network["views"].items()
    }
    return OnnxParts(network, onnx_views, joint)


def _onnx_view(
    folder: Path,
    name: str,
    about: dict[str, Any],
    graphs: dict[str, OnnxGraph],
    tables: dict[str, np.ndarray],
) -> OnnxView:
    view = View(name, about["modality"], tuple(about["fields"]), tuple(about["others"]), about["images"])
    if about["preprocessor"] not in preprocessing.__all__:
        raise BundleError(f"{folder}: there is no preprocessor {about['preprocessor']!r}; upgrade Aisle")
    preprocessor = getattr(preprocessing, about["preprocessor"]).load(folder / "views" / name)
    encode: ArrayEncoder = (
        GraphEncoder(graphs[about["graph"]]) if about["graph"] else TableEncoder(tables[name])
    )
    if isinstance(preprocessor, preprocessing.VectorPreprocessor) and preprocessor.dim > _MOST_DIM:
        raise BundleError(f"{folder}: view {name!r} has vectors of {preprocessor.dim}; at most {_MOST_DIM:,}")
    return OnnxView(view, preprocessor, encode, about["dim"])
