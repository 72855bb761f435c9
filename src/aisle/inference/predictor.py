"""The predictor of a trained network."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from aisle.data import Product
from aisle.guarantee import Policy
from aisle.inference.batches import LazyEmbeddings, ScoredBatch, batched, batched_by_cost
from aisle.inference.bundle import read_bundle, read_learned
from aisle.inference.input_pipeline import InputPipeline, NetworkInputs
from aisle.inference.knn_index import PROJECTION_DIM, random_projection
from aisle.inference.network_bundle import NetworkParts, read_network, write_network
from aisle.inference.prefetch import cores, prefetch
from aisle.inference.trained_predictor import TrainedPredictor
from aisle.models.config import ModelSpec
from aisle.models.features import FeatureStore
from aisle.models.label_embeddings import carry_counts, make_context
from aisle.models.model import Model
from aisle.models.preprocessing import Preprocessor, TfidfPreprocessor, VectorPreprocessor
from aisle.models.registry import Context, OutsideCodeError
from aisle.models.spec import build_for_taxonomy, network_views
from aisle.models.views import View
from aisle.taxonomy import Scores, Taxonomy


@dataclass(frozen=True, kw_only=True, repr=False)
class Predictor(TrainedPredictor):
    """A trained network with everything that prediction needs.

    Attributes:
        spec: Configuration of the network.
        preprocessors: By view.
        model: The network.
        store: Cache of frozen encoders' outputs.
    """

    runtime: ClassVar[str] = "torch"

    spec: ModelSpec
    context: Context
    preprocessors: Mapping[str, Preprocessor]
    model: Model
    store: FeatureStore | None = None

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that it reads."""
        return tuple(self._reader.views.values())

    @property
    def dim(self) -> int:
        """D, the width of `embed`."""
        return self.model.fusion.dim

    @property
    def parameters(self) -> int:
        """Number of learned parameters."""
        return sum(p.numel() for p in self.model.parameters())

    @cached_property
    def knn_views(self) -> tuple[str, ...]:
        """The views in the k-NN index: frozen views with a pretrained encoder or TF-IDF."""
        encoders, preprocessors = self.model.encoders, self.preprocessors
        frozen = [name for name in self.views if name in self.model.frozen]
        return tuple(
            name
            for name in frozen
            if encoders[name].cacheable or isinstance(preprocessors[name], TfidfPreprocessor)
        )

    @cached_property
    def _reader(self) -> InputPipeline:
        return InputPipeline(
            self.model, network_views(self.spec, trust_code=True), self.preprocessors, self.store
        )

    # -- predicting ---------------------------------------------------------------------------

    def embed(self, products: Iterable[Product]) -> np.ndarray:
        """(B, D) the vectors that products are searched by.

        The sum of the present views where the fusion has a shared space, else the joint vector.
        """
        parts = [part.embedding for part in self.score_batches(products, ())]
        return np.concatenate([np.zeros((0, self.model.fusion.dim), np.float32), *parts])

    def view_embeddings(self, products: Iterable[Product]) -> dict[str, np.ndarray]:
        """(B, D) embeddings of the views in the k-NN index; zeros where the view is missing."""
        reader = self._reader.only(self.knn_views)
        embeddings: dict[str, list[np.ndarray]] = {name: [] for name in self.knn_views}
        with torch.inference_mode():
            for batch in batched(products, self.batch):
                inputs = reader(batch)
                for name, parts in embeddings.items():
                    parts.append(self._view_embedding(name, inputs)())
        return {name: np.concatenate(parts) for name, parts in embeddings.items() if parts}

    def _view_embedding(self, name: str, inputs: NetworkInputs) -> Callable[[], np.ndarray]:
        """A function that computes the embeddings (B, D) of a view in the k-NN index.

        The output of a pretrained encoder replaces its arrays in `inputs`, so that it is not run again.
        """
        arrays = inputs.arrays[name]
        if self.model.encoders[name].cacheable:
            encoded = self.model.encode(name, arrays)
            inputs.arrays[name] = {
                "pooled": encoded.pooled, "tokens": encoded.tokens, "mask": encoded.mask
            }  # fmt: skip
            present = inputs.present[:, list(inputs.arrays).index(name)].unsqueeze(1)
            vectors = (encoded.pooled * present).float().cpu().numpy()
            return lambda: vectors
        if "ids" in arrays:
            return partial(random_projection, {key: array.cpu().numpy() for key, array in arrays.items()})
        # No product of the batch has the view.
        return partial(np.zeros, (len(inputs.present), PROJECTION_DIM), np.float32)

    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]:
        self._check(without)
        # Other threads prepare the next batches while the network runs.
        reader = self._reader
        threads = 1 if self.store is not None else min(2, cores())  # the store is not thread-safe
        batches = self._batches(products)
        for batch, inputs in prefetch(lambda batch: (batch, reader(batch, without)), batches, threads):
            yield batch, self._score_batch(inputs)

    def _batches(self, products: Iterable[Product]) -> Iterator[list[Product]]:
        views = self._reader.views.values()
        fast = (TfidfPreprocessor, VectorPreprocessor)
        slow = [view for view in views if not isinstance(self.preprocessors[view.name], fast)]
        return batched_by_cost(products, self.batch, slow)

    @torch.inference_mode()
    def _score_batch(self, inputs: NetworkInputs) -> ScoredBatch:
        model = self.model
        if model.training:  # `eval` visits all modules, which takes as long as a small batch
            model.eval()
        knn_views = self.knn_views if self.knn_index else ()
        spaces = LazyEmbeddings({name: self._view_embedding(name, inputs) for name in knn_views})
        output = model(inputs.arrays, inputs.present)
        logp = output.scores.all().float().cpu().numpy()
        return ScoredBatch(
            Scores(
                self.taxonomy, self.zero_shot.apply(logp, spaces, self.taxonomy) if self.zero_shot else logp
            ),
            output.joint.embedding(inputs.present).float().cpu().numpy(),
            inputs.present.cpu().numpy(),
            [tuple(inputs.problems.get(i, ())) for i in range(len(inputs.present))],
            spaces,
        )

    def with_store(self, store: FeatureStore | None) -> "Predictor":
        """A copy that caches frozen encoders' outputs on disk."""
        return dataclasses.replace(self, store=store)

    def with_taxonomy(self, taxonomy: Taxonomy) -> "Predictor":
        """A copy for another tree (design rule 8), without a guarantee until it is calibrated again.

        Nodes keep their weights by id; new categories are scored by their names (`ZeroShot`).
        """
        context = make_context(taxonomy, carry_counts(self.context, taxonomy))
        model = build_for_taxonomy(self.model, self.spec, context)
        policy = Policy.uncalibrated(taxonomy)
        copied = dataclasses.replace(self, model=model, context=context, policy=policy, model_id="unsaved")
        return (
            dataclasses.replace(copied, zero_shot=copied._zero_shot_terminals()) if self.zero_shot else copied
        )

    def write_files(self, folder: Path) -> None:
        """Write the network's own files of a bundle."""
        write_network(NetworkParts(self.spec, self.context, self.preprocessors, self.model), folder)

    @classmethod
    def load(cls, folder: Path, trust_code: bool = False) -> "Predictor":
        """Read a bundle, or the one inside a run's folder.

        Raises:
            BundleError: it is missing, truncated, edited, malformed or of another format.
            OutsideCodeError: it names code from outside Aisle and `trust_code` is False.
        """

        def read(home: Path, manifest: dict[str, Any]) -> Predictor:
            return cls(**read_network(home, trust_code)._asdict(), **read_learned(home, manifest))

        return read_bundle(folder, cls.runtime, read, (OutsideCodeError,))
