"""Encoders of exported models: ONNX graphs and embedding tables. No torch here.

Shapes: B products of a batch, b of them that have the view, T tokens, P images, D the width of the view.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from aisle.errors import BundleError, extra, first_line
from aisle.models.preprocessing import Prepared, Preprocessor
from aisle.models.views import View

# Products per run of a graph: on one core, larger batches are no faster, leave its caches and need more
# padding.
_TEXT_BATCH, _IMAGE_BATCH, _VECTOR_BATCH = 8, 4, 256

Arrays = dict[str, np.ndarray]


class EncodedArrays(NamedTuple):
    """One encoded view of b products.

    Attributes:
        pooled: (b, D).
        tokens: (b, T, D), where the fusion reads tokens.
        mask: (b, T) bool, where the fusion reads tokens.
    """

    pooled: np.ndarray
    tokens: np.ndarray | None = None
    mask: np.ndarray | None = None


class OnnxGraph:
    """An ONNX graph that runs on one core.

    Args:
        file: the graph.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BundleError: this onnxruntime cannot run the graph.
    """

    def __init__(self, file: Path) -> None:
        runtime: Any = extra("onnxruntime", "onnx", "an ONNX model")
        options = runtime.SessionOptions()
        # Batches run in parallel, each in one thread.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # lengths differ from batch to batch
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise BundleError(f"{file} cannot be run: {first_line(error)}") from error
        self.inputs = [node.name for node in self.session.get_inputs()]
        self.widths = {node.name: node.shape[-1] for node in self.session.get_inputs() if node.shape}
        self.outputs = [node.name for node in self.session.get_outputs()]

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Run the graph on arrays by name; arrays that it does not read are ignored."""
        outputs = self.session.run(None, {name: arrays[name] for name in self.inputs})
        return dict(zip(self.outputs, outputs, strict=True))


class ArrayEncoder(Protocol):
    """An encoder of one view on numpy arrays."""

    def __call__(self, arrays: Arrays) -> EncodedArrays:
        """Encode the prepared arrays of b products."""
        ...


class TableEncoder:
    """An embedding table: TF-IDF weights times vectors.

    Args:
        table: (F, D) a vector for each feature.
    """

    def __init__(self, table: np.ndarray) -> None:
        self.table = np.ascontiguousarray(table, dtype=np.float32)

    def __call__(self, arrays: Arrays) -> EncodedArrays:
        """Encode ids (n,), weights (n,) and offsets (b,) of b products."""
        from scipy.sparse import csr_matrix

        ends = np.append(arrays["offsets"], len(arrays["ids"]))
        shape = (len(ends) - 1, len(self.table))
        pooled = csr_matrix((arrays["weights"], arrays["ids"], ends), shape=shape) @ self.table
        return EncodedArrays(pooled, pooled[:, None], np.ones((len(pooled), 1), bool))


class GraphEncoder:
    """An encoder graph, run on small batches of products of similar length, with little padding.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph

    def __call__(self, arrays: Arrays) -> EncodedArrays:
        """Encode the prepared arrays of b products."""
        batches = [(rows, self.graph(batch)) for rows, batch in _split(arrays)]
        order = np.argsort(np.concatenate([rows for rows, _ in batches]), kind="stable")
        outputs = [output for _, output in batches]
        pooled = np.concatenate([output["pooled"] for output in outputs])[order]
        if "tokens" not in outputs[0]:
            return EncodedArrays(pooled)
        width = max(output["tokens_mask"].shape[1] for output in outputs)
        tokens = np.concatenate([_pad(output["tokens"], width) for output in outputs])[order]
        mask = np.concatenate([_pad(output["tokens_mask"], width) for output in outputs])[order]
        return EncodedArrays(pooled, tokens, mask)

    def batches(self, arrays: Arrays, max_size: int) -> Iterator[Arrays]:
        """The batches that the graph runs on, of at most `max_size` products."""
        return (batch for _, batch in _split(arrays, max_size))


def _split(arrays: Arrays, max_size: int = 1 << 30) -> Iterator[tuple[np.ndarray, Arrays]]:
    """Rows and arrays of batches of similar length."""
    length, size = _lengths(arrays)
    order = np.argsort(length, kind="stable")
    for batch in _batch_slices(length[order], min(size, max_size), exact="shown" in arrays):
        rows = order[batch]
        yield rows, _select(arrays, rows, int(length[rows].max()))


def _lengths(arrays: Arrays) -> tuple[np.ndarray, int]:
    """The number of tokens or images of each product, and the number of products in a batch."""
    if "shown" in arrays:
        return arrays["shown"].sum(1), _IMAGE_BATCH
    if "mask" in arrays:
        return np.maximum(arrays["mask"].sum(1), 1), _TEXT_BATCH
    return np.ones(len(next(iter(arrays.values()))), int), _VECTOR_BATCH


def _batch_slices(length: np.ndarray, size: int, exact: bool) -> list[slice]:
    """Slices of at most `size` products, sorted by length; exact: all products of a slice have one length."""
    cuts = np.flatnonzero(np.diff(length)) + 1 if exact else np.array([], int)
    edges = [0, *cuts.tolist(), len(length)]
    return [
        slice(start, min(start + size, stop))
        for first, stop in pairwise(edges)
        for start in range(first, stop, size)
    ]


def _select(arrays: Arrays, rows: np.ndarray, length: int) -> Arrays:
    """The arrays of some products, cut to `length` tokens or images."""
    padded = {"ids", "mask", "pixels", "shown"}
    return {name: a[rows, :length] if name in padded else a[rows] for name, a in arrays.items()}


def _pad(array: np.ndarray, width: int) -> np.ndarray:
    """(b, T, …) padded with zeros to T = `width`."""
    return np.pad(array, [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])


class OnnxView(NamedTuple):
    """One view of an exported model.

    Attributes:
        source: what it reads of a product.
        preprocessor: its preprocessor.
        encode: its encoder.
        dim: D, the width of its vectors.
    """

    source: View
    preprocessor: Preprocessor
    encode: ArrayEncoder
    dim: int

    def prepare(self, values: Sequence[Any]) -> tuple[Prepared, np.ndarray]:
        """Prepare the products that have the view.

        Args:
            values: B values, None where the view is missing.

        Returns:
            The arrays of b products, with `present` (B,), and the rows (b,) of these products.
        """
        rows = np.flatnonzero([value is not None for value in values])
        prepared = self.preprocessor([value for value in values if value is not None])
        problems = {int(rows[i]): message for i, message in prepared.problems.items()}
        readable = np.flatnonzero(prepared.present)
        arrays = prepared.arrays
        if len(readable) < len(rows):
            arrays = self.preprocessor.take(arrays, readable)
        present = np.zeros(len(values), bool)
        present[rows[readable]] = True
        return Prepared(arrays, present, problems), rows[readable]

    def scatter(self, encoded: EncodedArrays | None, rows: np.ndarray, b: int) -> EncodedArrays:
        """Spread b encoded products over a batch, with zeros for the others.

        Args:
            encoded: b products; None for none.
            rows: (b,) their rows in the batch.
            b: size of the batch.
        """
        pooled = np.zeros((b, self.dim), np.float32)
        if encoded is None:
            return EncodedArrays(pooled, pooled[:, None], np.zeros((b, 1), bool))
        pooled[rows] = encoded.pooled
        if encoded.tokens is None or encoded.mask is None:
            return EncodedArrays(pooled)
        tokens = np.zeros((b, *encoded.tokens.shape[1:]), np.float32)
        mask = np.zeros(tokens.shape[:2], bool)
        tokens[rows], mask[rows] = encoded.tokens, encoded.mask
        return EncodedArrays(pooled, tokens, mask)
