"""An exported model: predicts on CPUs as the network does, without torch."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aisle.data import Product
from aisle.inference.base_predictor import TreeCounts
from aisle.inference.batches import LazyEmbeddings, ScoredBatch, batched_by_cost
from aisle.inference.bundle import read_bundle, read_learned
from aisle.inference.folder import seal
from aisle.inference.knn_index import PROJECTION_DIM, random_projection
from aisle.inference.onnx.bundle import copy_files, read_onnx
from aisle.inference.prefetch import cores, prefetch
from aisle.inference.trained_predictor import SinglePredictor
from aisle.models.onnx_runtime import EncodedArrays, OnnxGraph, OnnxView
from aisle.models.preprocessing import Preprocessor, TfidfPreprocessor, VectorPreprocessor
from aisle.models.views import View
from aisle.taxonomy import Scores, Taxonomy


@dataclass(frozen=True, kw_only=True, repr=False)
class OnnxPredictor(SinglePredictor):
    """An exported network: ONNX graphs and embedding tables, with everything that prediction needs.

    Attributes:
        onnx_views: By view, in the network's order.
        joint: The graph of fusion and head.
        files: The folder of its graphs.
        network: Its `network.json`.
        knn_views: The views in the k-NN index.
        threads: Batches scored in parallel.
    """

    runtime: ClassVar[str] = "onnx"

    context: TreeCounts
    onnx_views: Mapping[str, OnnxView]
    joint: OnnxGraph
    files: Path
    network: Mapping[str, Any]
    knn_views: tuple[str, ...] = ()
    batch: int = 64
    threads: int = field(default_factory=cores)

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that it reads."""
        return tuple(view.source for view in self.onnx_views.values())

    @property
    def preprocessors(self) -> dict[str, Preprocessor]:
        """The preprocessor of each view."""
        return {name: view.preprocessor for name, view in self.onnx_views.items()}

    @property
    def store(self) -> None:
        """It keeps no encoder's output."""
        return None

    # -- predicting ---------------------------------------------------------------------------

    def embed(self, products: Iterable[Product]) -> np.ndarray:
        """(B, D) the vectors that products are searched by."""
        parts = [part.embedding for part in self.score_batches(products)]
        return np.concatenate([np.zeros((0, self.network["dim"]), np.float32), *parts])

    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]:
        self._check(without)
        threads = self.threads if self.threads > 1 else 0
        fast = (TfidfPreprocessor, VectorPreprocessor)
        slow = [v.source for v in self.onnx_views.values() if not isinstance(v.preprocessor, fast)]
        yield from prefetch(
            lambda batch: (batch, self._score_batch(batch, without)),
            batched_by_cost(products, self.batch, slow),
            threads,
        )

    def _score_batch(self, batch: list[Product], without: Collection[str]) -> ScoredBatch:
        b = len(batch)
        present, problems = [], [[] for _ in batch]
        encoded, spaces = {}, {}
        for name, view in self.onnx_views.items():
            values = [None] * b if name in without else view.source.values(batch)
            prepared, rows = view.prepare(values)
            for row, message in prepared.problems.items():
                problems[row].append(message)
            vectors = view.encode(prepared.arrays) if len(rows) else None
            encoded[name] = view.scatter(vectors, rows, b)
            present.append(prepared.present)
            if self.knn_index and name in self.knn_views:
                spaces[name] = partial(_view_embedding, view, prepared.arrays, rows, encoded[name])
        is_present = np.stack(present, 1)
        output = self.joint(_joint_inputs(encoded, is_present))
        scores = Scores(self.taxonomy, output["logp"])
        messages = [tuple(row) for row in problems]
        return ScoredBatch(scores, output["embedding"], is_present, messages, LazyEmbeddings(spaces))

    def with_store(self, store: object) -> "OnnxPredictor":
        """The same: it keeps no encoder's output."""
        return self

    def write_files(self, folder: Path) -> str | None:
        """Write the exported model's own files of a bundle."""
        copy_files(self.files, folder)
        exported = self.network["exported_from"]
        same = exported and exported["policy"] == seal(json.loads(self.policy.to_json()))
        return exported["model_id"] if same else None  # the same weights and policy have the same id

    def save(self, folder: str | Path) -> "OnnxPredictor":
        """Write it into another folder, or over its own; returns it with its id.

        Raises:
            BundleError: the folder exists and is no bundle, or cannot be written.
        """
        return dataclasses.replace(super().save(folder), files=Path(folder))

    @classmethod
    def load(cls, folder: Path) -> "OnnxPredictor":
        """Read an exported model, or the one inside a run's folder.

        Raises:
            BundleError: it is missing, truncated, edited, malformed or of another format.
            MissingExtraError: onnxruntime is not installed.
        """

        def read(home: Path, manifest: dict[str, Any]) -> OnnxPredictor:
            learned = read_learned(home, manifest)
            del learned["zero_shot"]  # an export predicts differently with new categories, and is refused
            return cls.of_files(home, learned)

        return read_bundle(folder, cls.runtime, read)

    @classmethod
    def of_files(cls, folder: Path, learned: Mapping[str, Any]) -> "OnnxPredictor":
        """The model whose own files lie in a folder. learned: the other arguments."""
        network, onnx_views, joint = read_onnx(folder)
        tree = Taxonomy.from_json((folder / "taxonomy.json").read_text())
        counts = TreeCounts(tree, np.array(network["terminal_counts"], dtype=np.int64))
        knn_views = tuple(network["knn_views"])
        return cls(
            context=counts,
            onnx_views=onnx_views,
            joint=joint,
            files=folder,
            network=network,
            knn_views=knn_views,
            **learned,
        )


def learned_of(model: Any) -> dict[str, Any]:
    """The arguments of `OnnxPredictor` that a network and its exported model have in common."""
    names = ("policy", "model_id", "seen_keys", "results", "knn_index", "catalog_format", "rules")
    return {name: getattr(model, name) for name in names}


def _joint_inputs(encoded: Mapping[str, EncodedArrays], present: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs of the joint graph, by name."""
    inputs = {"present": present}
    for name, view in encoded.items():
        inputs[f"{name}.pooled"] = view.pooled
        if view.tokens is not None and view.mask is not None:
            inputs |= {f"{name}.tokens": view.tokens, f"{name}.mask": view.mask}
    return inputs


def _view_embedding(
    view: OnnxView, arrays: Mapping[str, np.ndarray], rows: np.ndarray, encoded: EncodedArrays
) -> np.ndarray:
    """(B, D) embeddings of a view in the k-NN index, zeros where it is missing."""
    if not isinstance(view.preprocessor, TfidfPreprocessor):
        return encoded.pooled
    out = np.zeros((len(encoded.pooled), PROJECTION_DIM), np.float32)
    if len(rows):
        out[rows] = random_projection(arrays)
    return out
