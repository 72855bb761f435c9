"""Encoders in 8-bit integers, calibrated on the shop's own rows. Needs onnx, not torch.

Static quantisation: weights a channel each, activations by the ranges they were seen to have, a mean over a
few products at a time. (Ranges taken of each batch as it comes would be as right, but a product's answer
would depend on its neighbours in the batch.) Weights take 7 bits: on CPUs with AVX2 but without VNNI the sum
of two products of 8-bit numbers saturates at 16 bits, and accuracy falls (one check: 82.9 % to 75.0 %); with
7 bits it cannot, on whatever CPU the model later runs.
"""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from aisle.data import Product
from aisle.errors import extra
from aisle.inference.folder import write_json
from aisle.inference.onnx.predictor import OnnxPredictor, learned_of
from aisle.models.onnx_runtime import Arrays, GraphEncoder, OnnxView
from aisle.progress import SILENT, Progress

CALIBRATION_ROWS = 160  # products that have the view; ranges hardly change after
_PART = 8
_MULTIPLYING = ["Conv", "MatMul", "Gemm"]
_CUTTING = ["Clip", "Relu"]


def quantize(
    exported: OnnxPredictor, products: Sequence[Product], folder: Path, progress: Progress = SILENT
) -> OnnxPredictor:
    """Write a copy of an exported model into an empty folder, its encoders in 8-bit integers.

    The copy has no manifest yet, and is not compared.

    Raises:
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    quantization: Any = extra("onnxruntime.quantization", "torch", "exporting in int8")
    shutil.copytree(exported.files, folder, dirs_exist_ok=True)
    network = json.loads((folder / "network.json").read_text())
    network["exported_from"] = None  # other weights, other predictions: an id of its own
    graphs: dict[str, list[str]] = {}
    for name, view in network["views"].items():
        if view["graph"]:
            graphs.setdefault(view["graph"], []).append(name)
    done = []
    with progress("quantising", len(graphs), "graphs") as advance:
        for graph, names in graphs.items():
            rows = [
                part for name in names for part in _parts(exported.onnx_views[name], products, len(names))
            ]
            if rows and _quantise(quantization, folder / "graphs" / graph, rows):
                done.append(graph)
            advance(1)
    network["int8"] = done
    write_json(folder / "network.json", network)
    return OnnxPredictor.of_files(folder, {**learned_of(exported), "model_id": "unsaved"})


def _parts(view: OnnxView, products: Sequence[Product], sharing: int) -> Iterator[Arrays]:
    """Arrays of a view for calibration, a few products at a time, short ones together."""
    values = [value for value in view.source.values(products) if value is not None]
    prepared, _ = view.prepare(values[: CALIBRATION_ROWS // sharing])
    if prepared.present.any() and isinstance(view.encode, GraphEncoder):
        yield from view.encode.batches(prepared.arrays, _PART)


def _quantise(quantization: Any, file: Path, rows: list[Arrays]) -> bool:
    """Rewrite a graph in place; False where it has nothing to quantise."""
    onnx: Any = extra("onnx", "torch", "exporting in int8")
    shapes: Any = extra("onnxruntime.quantization.shape_inference", "torch", "exporting in int8")
    model = onnx.load(str(file), load_external_data=False)
    if not any(node.op_type in _MULTIPLYING for node in model.graph.node):
        return False
    inputs = {one.name for one in model.graph.input}
    clean, made = file.with_suffix(".clean"), file.with_suffix(".int8")
    with _quiet():
        shapes.quant_pre_process(str(file), str(clean), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(clean),
            str(made),
            _Rows([{name: part[name] for name in part.keys() & inputs} for part in rows]),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=[*_MULTIPLYING, *_CUTTING],
            nodes_to_exclude=_in_floats(onnx.load(str(clean)).graph),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # What a transformer's layer adds to its residual stream has few, huge outliers: eight bits over
            # their range leave nothing of the rest (cosine to float32 .92 with, .99 without).
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
                "CalibMovingAverage": True,  # one odd product does not set the range for all
            },
        )
    made.replace(file)
    clean.unlink()
    return True


def _in_floats(graph: Any) -> list[str]:
    """The names of the nodes that integers make no quicker: products of two activations, and cutting off
    (Clip, Relu) anything but what a convolution says.

    A convolution's cut is made by the range of its integers, for nothing. In floats it would turn a picture's
    maps into floats and back: a third of a MobileNetV2's time.
    """
    weights = {one.name for one in graph.initializer}
    convolved = {name for node in graph.node if node.op_type == "Conv" for name in node.output}
    return [
        node.name
        for node in graph.node
        if (node.op_type == "MatMul" and not weights & {*node.input})
        or (node.op_type in _CUTTING and node.input[0] not in convolved)
    ]


class _Rows:
    """Calibration rows, as onnxruntime asks for them."""

    def __init__(self, rows: list[dict[str, np.ndarray]]) -> None:
        self.rows = iter(rows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next few; None at the end."""
        return next(self.rows, None)


@contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
