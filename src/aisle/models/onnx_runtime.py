"""The pieces that answer: ONNX graphs and tables of words. No torch here.

Shapes: b products that have the view, T tokens, P pictures, D the view's width.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from aisle.errors import BundleError, extra, first_line
from aisle.models.preprocessing import Prepared, Preprocessor
from aisle.models.views import View

_TEXTS, _PICTURES = 8, 4  # at once: more gains nothing on a core, leaves its caches, and pads more

Arrays = dict[str, np.ndarray]


class EncodedArrays(NamedTuple):
    """One view of b products: `pooled` (b, D); where the fusion reads tokens also `tokens` (b, T, D) and
    `mask` (b, T)."""

    pooled: np.ndarray
    tokens: np.ndarray | None = None
    mask: np.ndarray | None = None


class OnnxGraph:
    """An ONNX graph on one core: arrays by name in, arrays by name out.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BundleError: it is no graph that this onnxruntime can run.
    """

    def __init__(self, file: Path) -> None:
        runtime: Any = extra("onnxruntime", "onnx", "an ONNX model")
        options = runtime.SessionOptions()
        # Batches run beside each other, a thread each; threads inside of one would wait for each other.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # lengths differ from batch to batch
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common one
            raise BundleError(f"{file} cannot be run: {first_line(error)}") from error
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.widths = {one.name: one.shape[-1] for one in self.session.get_inputs() if one.shape}
        self.outputs = [one.name for one in self.session.get_outputs()]

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Inputs that the graph does not read are left out."""
        found = self.session.run(None, {name: arrays[name] for name in self.inputs})
        return dict(zip(self.outputs, found, strict=True))


class ArrayEncoder(Protocol):
    """One view's arrays to vectors."""

    def __call__(self, arrays: Arrays) -> EncodedArrays:
        """b products' arrays -> what the fusion reads of them."""
        ...


class TableEncoder:
    """Words to vectors: TF-IDF weights times a table (F, D)."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = np.ascontiguousarray(table, dtype=np.float32)

    def __call__(self, arrays: Arrays) -> EncodedArrays:
        """ids (n,), weights (n,), offsets (b,) -> (b, D)."""
        from scipy.sparse import csr_matrix

        ends = np.append(arrays["offsets"], len(arrays["ids"]))
        shape = (len(ends) - 1, len(self.table))
        pooled = csr_matrix((arrays["weights"], arrays["ids"], ends), shape=shape) @ self.table
        return EncodedArrays(pooled, pooled[:, None], np.ones((len(pooled), 1), bool))


class GraphEncoder:
    """A view's graph, fed in small parts of products alike in length, so that little padding is computed."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph

    def __call__(self, arrays: Arrays) -> EncodedArrays:
        """As the network's encoder."""
        made = [(rows, self.graph(some)) for rows, some in _split(arrays)]
        back = np.argsort(np.concatenate([rows for rows, _ in made]), kind="stable")
        parts = [part for _, part in made]
        pooled = np.concatenate([part["pooled"] for part in parts])[back]
        if "tokens" not in parts[0]:
            return EncodedArrays(pooled)
        most = max(part["tokens_mask"].shape[1] for part in parts)
        tokens = np.concatenate([_wider(part["tokens"], most) for part in parts])[back]
        mask = np.concatenate([_wider(part["tokens_mask"], most) for part in parts])[back]
        return EncodedArrays(pooled, tokens, mask)

    def parts(self, arrays: Arrays, most: int) -> Iterator[Arrays]:
        """What the graph is fed, so many products at once at most."""
        return (some for _, some in _split(arrays, most))


def _split(arrays: Arrays, most: int = 1 << 30) -> Iterator[tuple[np.ndarray, Arrays]]:
    """Which products, and their arrays."""
    length, size = _lengths(arrays)
    order = np.argsort(length, kind="stable")
    for here in _runs(length[order], min(size, most), exact="shown" in arrays):
        rows = order[here]
        yield rows, _some(arrays, rows, int(length[rows].max()))


def _lengths(arrays: Arrays) -> tuple[np.ndarray, int]:
    """How long each product's arrays are: tokens, or pictures; and how many products to take at once."""
    if "shown" in arrays:
        return arrays["shown"].sum(1), _PICTURES
    if "mask" in arrays:
        return np.maximum(arrays["mask"].sum(1), 1), _TEXTS
    return np.ones(len(next(iter(arrays.values()))), int), 256


def _runs(length: np.ndarray, size: int, exact: bool) -> list[slice]:
    """Parts of sorted lengths, each at most `size` long; exact: of one length only."""
    cuts = np.flatnonzero(np.diff(length)) + 1 if exact else np.array([], int)
    edges = [0, *cuts.tolist(), len(length)]
    return [
        slice(start, min(start + size, stop))
        for first, stop in pairwise(edges)
        for start in range(first, stop, size)
    ]


def _some(arrays: Arrays, rows: np.ndarray, length: int) -> Arrays:
    """Some products, without the padding that longer ones asked for."""
    wide = {"ids", "mask", "pixels", "shown"}
    return {name: a[rows, :length] if name in wide else a[rows] for name, a in arrays.items()}


def _wider(array: np.ndarray, width: int) -> np.ndarray:
    """(b, T, …) with T raised to `width` by zeros."""
    return np.pad(array, [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])


class OnnxView(NamedTuple):
    """One view of an exported model: `source` (the fields or images it reads), its preprocessor and encoder.

    dim: the width D of its vectors.
    """

    source: View
    preprocessor: Preprocessor
    encode: ArrayEncoder
    dim: int

    def prepare(self, values: Sequence[Any]) -> tuple[Prepared, np.ndarray]:
        """The arrays of those products that have it, and which of B those are: rows (b,)."""
        rows = np.flatnonzero([value is not None for value in values])
        prepared = self.preprocessor([value for value in values if value is not None])
        problems = {int(rows[i]): what for i, what in prepared.problems.items()}
        good = np.flatnonzero(prepared.present)
        arrays = prepared.arrays if len(good) == len(rows) else self.preprocessor.take(prepared.arrays, good)
        present = np.zeros(len(values), bool)
        present[rows[good]] = True
        return Prepared(arrays, present, problems), rows[good]

    def scatter(self, encoded: EncodedArrays | None, rows: np.ndarray, b: int) -> EncodedArrays:
        """The same with zeros for all other products of B."""
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
