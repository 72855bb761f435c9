"""Frozen text and image encoders as ONNX graphs, run by onnxruntime. No torch here.

A graph is exported once from a transformers model (`aisle.training.encoder_export`) and kept in the cache; a
bundle carries its own copy.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aisle.models.features import Features as Encoded
from aisle.models.features import FeatureStore, content_key
from aisle.models.onnx_runtime import GraphEncoder, OnnxGraph
from aisle.models.preprocessing import ImagePreprocessor, Prepared, TokenPreprocessor
from aisle.progress import SILENT, Progress

_CHUNK = 64  # values prepared together; the graph is fed fewer of like length


GRAPH, ABOUT = "encoder.onnx", "encoder.json"


def open_encoders(
    folders: Mapping[str, Path], preprocessors: Mapping[str, Any]
) -> "dict[str, FrozenEncoder]":
    """Load encoders; views that name one folder share its graph.

    Args:
        folders: by view, the folder with an exported encoder.
        preprocessors: by view.

    Returns:
        By view, the encoder.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BundleError: a graph cannot be run.
    """
    graphs = {home: OnnxGraph(home / GRAPH) for home in set(folders.values())}
    dims = {home: int(json.loads((home / ABOUT).read_text())["dim"]) for home in graphs}
    return {
        name: FrozenEncoder(graphs[home], home / GRAPH, preprocessors[name], dims[home])
        for name, home in folders.items()
    }


class FrozenEncoder:
    """A frozen encoder of one view: values to vectors of width D.

    Args:
        graph: the loaded graph, which several views may share.
        file: its file; the content identifies the encoder.
        preprocessor: texts to tokens, or images to pixels.
        dim: D.
    """

    def __init__(
        self, graph: OnnxGraph, file: Path, preprocessor: TokenPreprocessor | ImagePreprocessor, dim: int
    ) -> None:
        self.file, self.preprocessor, self.dim = file, preprocessor, dim
        self._run = GraphEncoder(graph)
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for equal outputs: weights and preprocessing. Names a space of the feature store."""
        if self._fingerprint is None:
            with self.file.open("rb") as handle:
                weights = hashlib.file_digest(handle, "sha256").hexdigest()[:16]
            self._fingerprint = f"onnx-{weights}-{self.preprocessor.fingerprint}"
        return self._fingerprint

    def encode(self, values: Sequence[Any]) -> tuple[np.ndarray, dict[int, str]]:
        """b values, none of them None -> (b, D), NaN in rows that cannot be read, and why: {row: problem}."""
        out, problems = np.full((len(values), self.dim), np.nan, np.float32), {}
        for start in range(0, len(values), _CHUNK):
            prepared: Prepared = self.preprocessor(values[start : start + _CHUNK])
            problems |= {start + row: what for row, what in prepared.problems.items()}
            good = np.flatnonzero(prepared.present)
            if len(good):
                out[start + good] = self._run(self.preprocessor.take(prepared.arrays, good)).pooled
        return out, problems

    def __call__(
        self,
        values: Sequence[Any],
        store: FeatureStore | None = None,
        label: str = "encoding",
        progress: Progress = SILENT,
    ) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
        """B values, None where the view is missing -> (B, D) with zeros there, present (B,), problems."""
        here = np.array([i for i, value in enumerate(values) if value is not None], np.int64)
        out, present = np.zeros((len(values), self.dim), np.float32), np.zeros(len(values), bool)
        messages: dict[int, str] = {}
        if not len(here):
            return out, present, messages
        given = [values[i] for i in here]
        if store is None:
            found, problems = self.encode(given)
        else:
            keys, problems = [content_key(value) for value in given], {}

            def compute(rows: list[int]) -> Encoded:
                vectors, why = self.encode([given[row] for row in rows])
                problems.update({rows[i]: what for i, what in why.items()})
                return Encoded(vectors)

            found = store.get(self.fingerprint, keys, compute, 256, label, progress).pooled
        good = ~np.isnan(found[:, 0])
        out[here], present[here] = np.nan_to_num(found), good
        for row in np.flatnonzero(~good).tolist():
            messages[int(here[row])] = problems.get(row, f"{label} failed: the value cannot be read")
        return out, present, messages
