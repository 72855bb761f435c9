"""The files of an exported model in its bundle. No torch here.

`network.json` says which view is read how. `graphs/*.onnx`: one encoder each, which views may share,
and `joint.onnx`; `tables.safetensors`: words to vectors; `views/NAME/`: preprocessors.
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
    """What an exported model's files hold: `network.json`, every view, the graph of fusion and head."""

    network: dict[str, Any]
    onnx_views: dict[str, OnnxView]
    joint: OnnxGraph


def copy_files(source: Path, folder: Path) -> None:
    """Copy an exported model's own files."""
    for name in _OWN:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name)
        elif (source / name).exists():
            shutil.copyfile(source / name, folder / name)


def read_onnx(folder: Path) -> OnnxParts:
    """Read an exported model's own files."""
    network = json.loads((folder / "network.json").read_text())
    tables = load_file(str(folder / "tables.safetensors")) if network["tables"] else {}
    graphs: dict[str, OnnxGraph] = {}
    for said in network["views"].values():
        if said["graph"] and said["graph"] not in graphs:
            graphs[said["graph"]] = OnnxGraph(folder / "graphs" / said["graph"])
    joint = OnnxGraph(folder / "graphs" / "joint.onnx")
    for name, said in network["views"].items():
        width = joint.widths.get(f"{name}.pooled", said["dim"])
        if width != said["dim"] or not 0 <= said["dim"] <= _MOST_DIM:
            raise BundleError(f"{folder}: view {name!r} is {said['dim']} wide, but its graph reads {width}")
    onnx_views = {
        name: _onnx_view(folder, name, said, graphs, tables) for name, said in network["views"].items()
    }
    return OnnxParts(network, onnx_views, joint)


def _onnx_view(
    folder: Path, name: str, said: dict[str, Any], graphs: dict[str, OnnxGraph], tables: dict[str, np.ndarray]
) -> OnnxView:
    view = View(name, said["modality"], tuple(said["fields"]), tuple(said["others"]), said["images"])
    if said["preprocessor"] not in preprocessing.__all__:
        raise BundleError(f"{folder}: there is no preprocessor {said['preprocessor']!r}; upgrade Aisle")
    preprocessor = getattr(preprocessing, said["preprocessor"]).load(folder / "views" / name)
    encode: ArrayEncoder = (
        GraphEncoder(graphs[said["graph"]]) if said["graph"] else TableEncoder(tables[name])
    )
    if isinstance(preprocessor, preprocessing.VectorPreprocessor) and preprocessor.dim > _MOST_DIM:
        raise BundleError(f"{folder}: view {name!r} has vectors of {preprocessor.dim}; at most {_MOST_DIM:,}")
    return OnnxView(view, preprocessor, encode, said["dim"])
