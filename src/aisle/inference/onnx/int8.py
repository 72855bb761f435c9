"""Static int8 quantisation of exported encoders, calibrated on rows of the catalog. No torch here.

Weights are quantised per channel, activations by the average range over calibration batches. (With dynamic
ranges, a prediction would depend on the other products of its batch.) Weights have 7 bits: on CPUs with AVX2
but without VNNI, the sum of two products of 8-bit numbers saturates at 16 bits, and accuracy falls (one
check: 82.9 % to 75.0 %).
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

CALIBRATION_ROWS = 160  # products that have the view; more hardly change the ranges
_CALIBRATION_BATCH = 8
_MATMUL_OPS = ["Conv", "MatMul", "Gemm"]
_CLIP_OPS = ["Clip", "Relu"]


def quantize(
    exported: OnnxPredictor, products: Sequence[Product], folder: Path, progress: Progress = SILENT
) -> OnnxPredictor:
    """Write a copy of an exported model into an empty folder, its encoders in 8-bit integers.

    The copy has no manifest yet, and is not compared.

    Args:
        exported: the exported model.
        products: for calibration.
        folder: an empty folder.
        progress: shows how many graphs are quantised.

    Raises:
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    quantization: Any = extra("onnxruntime.quantization", "torch", "exporting in int8")
    shutil.copytree(exported.files, folder, dirs_exist_ok=True)
    network = json.loads((folder / "network.json").read_text())
    network["exported_from"] = None  # it gets an id of its own
    graphs: dict[str, list[str]] = {}
    for name, view in network["views"].items():
        if view["graph"]:
            graphs.setdefault(view["graph"], []).append(name)
    quantized = []
    with progress("quantising", len(graphs), "graphs") as advance:
        for graph, names in graphs.items():
            batches = [
                batch
                for name in names
                for batch in _calibration_batches(exported.onnx_views[name], products, len(names))
            ]
            if batches and _quantise(quantization, folder / "graphs" / graph, batches):
                quantized.append(graph)
            advance(1)
    network["int8"] = quantized
    write_json(folder / "network.json", network)
    return OnnxPredictor.of_files(folder, {**learned_of(exported), "model_id": "unsaved"})


def _calibration_batches(view: OnnxView, products: Sequence[Product], sharing: int) -> Iterator[Arrays]:
    """Arrays of a view in batches of similar length; `sharing` views share the graph."""
    values = [value for value in view.source.values(products) if value is not None]
    prepared, _ = view.prepare(values[: CALIBRATION_ROWS // sharing])
    if prepared.present.any() and isinstance(view.encode, GraphEncoder):
        yield from view.encode.batches(prepared.arrays, _CALIBRATION_BATCH)


def _quantise(quantization: Any, file: Path, rows: list[Arrays]) -> bool:
    """Quantise a graph in place; False if it has no node to quantise."""
    onnx: Any = extra("onnx", "torch", "exporting in int8")
    shapes: Any = extra("onnxruntime.quantization.shape_inference", "torch", "exporting in int8")
    model = onnx.load(str(file), load_external_data=False)
    if not any(node.op_type in _MATMUL_OPS for node in model.graph.node):
        return False
    inputs = {value.name for value in model.graph.input}
    clean, quantised = file.with_suffix(".clean"), file.with_suffix(".int8")
    with _quiet():
        shapes.quant_pre_process(str(file), str(clean), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(clean),
            str(quantised),
            _Rows([{name: part[name] for name in part.keys() & inputs} for part in rows]),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=[*_MATMUL_OPS, *_CLIP_OPS],
            nodes_to_exclude=_float_nodes(onnx.load(str(clean)).graph),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # The residual stream of a transformer has few, huge outliers, which use up the range of 8 bits:
            # the cosine to float32 is .92 when these outputs are quantised, .99 when not.
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
                "CalibMovingAverage": True,  # robust against outliers
            },
        )
    quantised.replace(file)
    clean.unlink()
    return True


def _float_nodes(graph: Any) -> list[str]:
    """The names of nodes that are not faster in int8: products of two activations, and Clip or Relu of
    anything but a convolution.

    After a convolution, the range of the integers clips for free; in float it would take a third of the time
    of a MobileNetV2 to convert feature maps.
    """
    weights = {value.name for value in graph.initializer}
    convolved = {name for node in graph.node if node.op_type == "Conv" for name in node.output}
    return [
        node.name
        for node in graph.node
        if (node.op_type == "MatMul" and not weights & {*node.input})
        or (node.op_type in _CLIP_OPS and node.input[0] not in convolved)
    ]


class _Rows:
    """Calibration batches in the interface of onnxruntime."""

    def __init__(self, rows: list[dict[str, np.ndarray]]) -> None:
        self.rows = iter(rows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch; None at the end."""
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
