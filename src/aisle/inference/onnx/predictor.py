"""An exported model: predicts on CPUs as the network does, without torch."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aisle.data import Catalog, Product
from aisle.data.catalog_format import CatalogFormat
from aisle.guarantee import Nearest, Policy
from aisle.inference.base_predictor import (
    BasePredictor,
    LazyEmbeddings,
    ScoredBatch,
    TreeCounts,
    batched_by_cost,
    content_hashes,
)
from aisle.inference.bundle import read_bundle, read_learned
from aisle.inference.folder import seal
from aisle.inference.knn_index import PROJECTION_DIM, KnnIndex, random_projection
from aisle.inference.onnx.bundle import copy_files, read_onnx
from aisle.inference.prefetch import cores, prefetch
from aisle.models.onnx_runtime import EncodedArrays, OnnxGraph, OnnxView
from aisle.models.preprocessing import Preprocessor, TfidfPreprocessor, VectorPreprocessor
from aisle.models.views import View
from aisle.taxonomy import Scores, Taxonomy


@dataclass(frozen=True)
class OnnxPredictor(BasePredictor):
    """An exported network: ONNX graphs and embedding tables, with everything that prediction needs.

    Attributes:
        context: the tree and training counts.
        onnx_views: by view, in the network's order.
        joint: the graph of fusion and head.
        policy: calibration, thresholds and guarantee.
        files: the folder of its graphs.
        network: its `network.json`.
        model_id: a hash of the model, `unsaved` before it is saved.
        knn_views: the views in the k-NN index.
        seen_keys: (n,) sorted content hashes (uint64) of the training rows.
        results: measurements, for the model card.
        knn_index: index of training products, for k-NN calibration and out-of-distribution detection.
        batch: products scored at once; predictions do not depend on it.
        threads: batches scored in parallel.
        catalog_format: format and columns of the training catalog.
    """

    runtime: ClassVar[str] = "onnx"

    context: TreeCounts
    onnx_views: Mapping[str, OnnxView]
    joint: OnnxGraph
    policy: Policy
    files: Path
    network: Mapping[str, Any]
    model_id: str = "unsaved"
    knn_views: tuple[str, ...] = ()
    seen_keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    results: Mapping[str, Any] = field(default_factory=dict)
    knn_index: KnnIndex | None = None
    batch: int = 64
    threads: int = field(default_factory=cores)
    catalog_format: CatalogFormat | None = None

    @property
    def taxonomy(self) -> Taxonomy:
        """The category tree."""
        return self.context.taxonomy

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that the model reads."""
        return tuple(self.onnx_views)

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that it reads."""
        return tuple(view.source for view in self.onnx_views.values())

    @property
    def preprocessors(self) -> dict[str, Preprocessor]:
        """The preprocessor of each view."""
        return {name: view.preprocessor for name, view in self.onnx_views.items()}

    @property
    def max_images(self) -> int:
        """The number of images read per product, the first ones; 0: none."""
        views = [one.source for one in self.onnx_views.values() if one.source.modality == "image"]
        return max((view.images for view in views), default=0)

    @property
    def store(self) -> None:
        """It keeps no encoder's output."""
        return None

    # -- predicting ---------------------------------------------------------------------------

    def embed(self, products: Iterable[Product]) -> np.ndarray:
        """(B, D) the vectors that products are searched by."""
        parts = [part.embedding for part in self.score_batches(products)]
        return np.concatenate([np.zeros((0, self.network["dim"]), np.float32), *parts])

    def _nearest(self, scored: ScoredBatch) -> Nearest | None:
        return self.knn_index.query(scored.spaces, self.taxonomy) if self.knn_index else None

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

    # -- training rows -------------------------------------------------------------------------

    def seen(self, products: Catalog | Iterable[Product]) -> np.ndarray:
        """(n,) bool: products whose content this model was trained on."""
        return np.isin(content_hashes(products), self.seen_keys)

    def with_policy(self, policy: Policy) -> "OnnxPredictor":
        """A copy with another policy."""
        return dataclasses.replace(self, policy=policy)

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
        return cls(counts, onnx_views, joint, files=folder, network=network, knn_views=knn_views, **learned)


def learned_of(model: Any) -> dict[str, Any]:
    """The arguments of `OnnxPredictor` that a network and its exported model have in common."""
    names = ("policy", "model_id", "seen_keys", "results", "knn_index", "catalog_format")
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
