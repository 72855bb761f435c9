"""Frozen text and image encoders as ONNX graphs, run by onnxruntime. No torch here.

A graph is exported once from a transformers model (`aisle.training.encoder_export`) and cached; a bundle has
its own copy.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aisle.models.features import Features, FeatureStore, content_key
from aisle.models.onnx_runtime import GraphEncoder, OnnxGraph
from aisle.models.preprocessing import ImagePreprocessor, Prepared, TokenPreprocessor
from aisle.progress import SILENT, Progress

_BATCH_SIZE = 64  # values prepared together; the graph runs on fewer, of similar length
_CHUNK_SIZE = 256  # rows computed and stored together
GRAPH, ABOUT = "encoder.onnx", "encoder.json"


def open_encoders(
    folders: Mapping[str, Path], preprocessors: Mapping[str, Any]
) -> "dict[str, FrozenEncoder]":
    """Load exported encoders; views with the same folder share a graph.

    Args:
        folders: folder of the exported encoder, by view.
        preprocessors: by view.

    Returns:
        The encoders by view.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BundleError: a graph cannot be run.
    """
    graphs = {folder: OnnxGraph(folder / GRAPH) for folder in set(folders.values())}
    dims = {folder: int(json.loads((folder / ABOUT).read_text())["dim"]) for folder in graphs}
    return {
        name: FrozenEncoder(graphs[folder], folder / GRAPH, preprocessors[name], dims[folder])
        for name, folder in folders.items()
    }


class FrozenEncoder:
    """A frozen encoder of one view.

    Args:
        graph: the loaded graph; several views may share it.
        file: its file, whose content identifies the encoder.
        preprocessor: texts to tokens, or images to pixels.
        dim: D, the width of its vectors.
    """

    def __init__(
        self, graph: OnnxGraph, file: Path, preprocessor: TokenPreprocessor | ImagePreprocessor, dim: int
    ) -> None:
        self.file, self.preprocessor, self.dim = file, preprocessor, dim
        self._run = GraphEncoder(graph)
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of weights and preprocessing; the namespace in the feature store."""
        if self._fingerprint is None:
            with self.file.open("rb") as handle:
                weights = hashlib.file_digest(handle, "sha256").hexdigest()[:16]
            self._fingerprint = f"onnx-{weights}-{self.preprocessor.fingerprint}"
        return self._fingerprint

    def encode(self, values: Sequence[Any]) -> tuple[np.ndarray, dict[int, str]]:
        """Encode b values, none of them None.

        Returns:
            (b, D) float32, NaN in rows that cannot be read, and a message for each of those rows.
        """
        out, problems = np.full((len(values), self.dim), np.nan, np.float32), {}
        for start in range(0, len(values), _BATCH_SIZE):
            prepared: Prepared = self.preprocessor(values[start : start + _BATCH_SIZE])
            problems |= {start + row: message for row, message in prepared.problems.items()}
            present = np.flatnonzero(prepared.present)
            if len(present):
                out[start + present] = self._run(self.preprocessor.take(prepared.arrays, present)).pooled
        return out, problems

    def __call__(
        self,
        values: Sequence[Any],
        store: FeatureStore | None = None,
        label: str = "encoding",
        progress: Progress = SILENT,
    ) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
        """Encode B values.

        Args:
            values: B values, None where the view is missing.
            store: cache of outputs.
            label: of the progress bar.
            progress: shows how many values are encoded.

        Returns:
            (B, D) vectors, zeros where the view is missing or cannot be read; (B,) whether it is present; a
            message for each row that cannot be read.
        """
        given = np.array([i for i, value in enumerate(values) if value is not None], np.int64)
        out, present = np.zeros((len(values), self.dim), np.float32), np.zeros(len(values), bool)
        messages: dict[int, str] = {}
        if not len(given):
            return out, present, messages
        inputs = [values[i] for i in given]
        if store is None:
            vectors, problems = self.encode(inputs)
        else:
            keys, problems = [content_key(value) for value in inputs], {}

            def compute(rows: list[int]) -> Features:
                pooled, failed = self.encode([inputs[row] for row in rows])
                problems.update({rows[i]: message for i, message in failed.items()})
                return Features(pooled)

            vectors = store.get(self.fingerprint, keys, compute, _CHUNK_SIZE, label, progress).pooled
        readable = ~np.isnan(vectors[:, 0])
        out[given], present[given] = np.nan_to_num(vectors), readable
        for row in np.flatnonzero(~readable).tolist():
            messages[int(given[row])] = problems.get(row, f"{label} failed: the value cannot be read")
        return out, present, messages
