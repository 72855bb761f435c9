"""The predictor of a trained linear model. No torch here."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aisle.data import Product
from aisle.guarantee import Policy
from aisle.inference.base_predictor import TreeCounts
from aisle.inference.batches import LazyEmbeddings, ScoredBatch, batched, batched_by_cost
from aisle.inference.bundle import read_bundle, read_learned
from aisle.inference.holdout import OutOfFoldPredictions
from aisle.inference.knn_index import random_projection
from aisle.inference.linear.bundle import read_linear, write_linear
from aisle.inference.prefetch import cores, prefetch
from aisle.inference.trained_predictor import TrainedPredictor
from aisle.inference.zero_shot import name_products
from aisle.models.features import FeatureStore
from aisle.models.linear.config import LinearSpec
from aisle.models.linear.model import LinearModel, log_softmax, remap_to_taxonomy
from aisle.models.linear.reader import LinearInputs, LinearReader
from aisle.models.views import View
from aisle.taxonomy import Scores, Taxonomy


@dataclass(frozen=True, kw_only=True, repr=False)
class LinearPredictor(TrainedPredictor):
    """A trained linear model with everything that prediction needs.

    Attributes:
        model: The linear model.
        reader: The feature extractor.
        out_of_fold: Some out-of-fold predictions, after training; a bundle does not hold them.
    """

    runtime: ClassVar[str] = "linear"

    model: LinearModel
    reader: LinearReader
    context: TreeCounts
    out_of_fold: OutOfFoldPredictions | None = field(default=None, compare=False)

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that it reads."""
        return tuple(self.reader.views.values())

    @property
    def spec(self) -> LinearSpec:
        """Configuration of the model."""
        return self.model.spec

    @property
    def preprocessors(self) -> Mapping[str, Any]:
        """The preprocessor of each view."""
        return self.reader.preprocessors

    @property
    def store(self) -> FeatureStore | None:
        """Cache of encoders' outputs."""
        return self.reader.store

    @property
    def dim(self) -> int:
        """D, the width of `embed`."""
        return self.model.basis.shape[1]

    @property
    def parameters(self) -> int:
        """Number of learned parameters."""
        return self.model.parameters

    @property
    def knn_views(self) -> tuple[str, ...]:
        """The views in the k-NN index: TF-IDF and pretrained encoders."""
        return tuple(n for n in self.views if n in self.reader.tfidf or n in self.reader.encoders)

    # -- predicting ---------------------------------------------------------------------------

    def embed(self, products: Iterable[Product]) -> np.ndarray:
        """(B, D) the vectors that products are searched by: principal components of the logits."""
        parts = [part.embedding for part in self.score_batches(products)]
        return np.concatenate([np.zeros((0, self.dim), np.float32), *parts])

    def view_embeddings(self, products: Iterable[Product]) -> dict[str, np.ndarray]:
        """(B, D) embeddings of the views in the k-NN index; zeros where the view is missing."""
        embeddings: dict[str, list[np.ndarray]] = {name: [] for name in self.knn_views}
        others = set(self.views) - set(self.knn_views)
        for batch in batched(products, self.batch):
            spaces = self._view_embeddings(self.reader(batch, others))
            for name, parts in embeddings.items():
                parts.append(spaces[name])
        return {name: np.concatenate(parts) for name, parts in embeddings.items() if parts}

    def _view_embeddings(self, inputs: LinearInputs) -> LazyEmbeddings:
        words = {name: partial(random_projection, arrays) for name, arrays in inputs.tfidf.items()}
        vectors = {name: partial(inputs.dense.__getitem__, name) for name in self.reader.encoders}
        return LazyEmbeddings({name: {**words, **vectors}[name] for name in self.knn_views})

    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]:
        self._check(without)
        threads = 1 if self.store is not None else min(2, cores())  # the store is not thread-safe
        batches = batched_by_cost(products, self.batch, self.reader.slow_views)
        for batch, inputs in prefetch(lambda batch: (batch, self.reader(batch, without)), batches, threads):
            yield batch, self._score_batch(inputs)

    def _score_batch(self, inputs: LinearInputs) -> ScoredBatch:
        spaces = self._view_embeddings(inputs) if self.knn_index else LazyEmbeddings({})
        logits = self.model.score(inputs, self.taxonomy)
        logp = log_softmax(logits)
        if self.zero_shot:
            logp = self.zero_shot.apply(logp, spaces, self.taxonomy)
        problems = [tuple(inputs.problems.get(i, ())) for i in range(len(inputs.present))]
        scores = Scores(self.taxonomy, logp)
        return ScoredBatch(scores, self.model.embed(logits), inputs.present, problems, spaces)

    # -- changed copies ----------------------------------------------------------------------

    def with_store(self, store: FeatureStore | None) -> "LinearPredictor":
        """A copy that caches encoders' outputs on disk."""
        return dataclasses.replace(self, reader=self.reader.with_store(store))

    def with_taxonomy(self, taxonomy: Taxonomy) -> "LinearPredictor":
        """A copy for another tree, without a guarantee until it is calibrated again.

        Nodes keep their weights by id; new categories are scored by their names (`ZeroShot`).
        """
        names = self.reader(name_products(taxonomy))
        model = remap_to_taxonomy(self.model, self.taxonomy, taxonomy, names)
        context, policy = TreeCounts(taxonomy, model.counts), Policy.uncalibrated(taxonomy)
        new = dataclasses.replace(self, model=model, context=context, policy=policy, model_id="unsaved")
        return dataclasses.replace(new, zero_shot=new._zero_shot_terminals()) if self.zero_shot else new

    def write_files(self, folder: Path) -> None:
        """Write the model's own files of a bundle."""
        write_linear(self.model, self.reader, folder)

    @classmethod
    def load(cls, folder: Path) -> "LinearPredictor":
        """Read a bundle, or the one inside a run's folder.

        Raises:
            BundleError: it is missing, truncated, edited, malformed or of another format.
            MissingExtraError: it reads a pretrained encoder, and onnxruntime is not installed.
        """

        def read(home: Path, manifest: dict[str, Any]) -> LinearPredictor:
            model, reader = read_linear(home)
            tree = Taxonomy.from_json((home / "taxonomy.json").read_text())
            context = TreeCounts(tree, model.counts)
            return cls(model=model, reader=reader, context=context, **read_learned(home, manifest))

        return read_bundle(folder, cls.runtime, read)
