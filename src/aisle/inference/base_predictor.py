"""The base class of all models: from scores to predictions, in batches. No torch here."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, overload

import numpy as np

from aisle.data import Catalog, Product
from aisle.data.catalog_format import CatalogFormat
from aisle.data.duplicates import product_key
from aisle.data.inputs import PredictSource, read_inputs
from aisle.guarantee import Confidences, Policy, Prediction, Predictions
from aisle.guarantee.nearest import Nearest
from aisle.inference.batches import ScoredBatch, predictions_of
from aisle.inference.bundle import write_bundle
from aisle.inference.known_columns import check_columns
from aisle.inference.model_summary import model_html, summary_lines
from aisle.models.features import FeatureStore
from aisle.models.views import View
from aisle.progress import Advance, Progress
from aisle.progress_bars import choose_progress
from aisle.rules import Ruleset
from aisle.taxonomy import Scores, Taxonomy


class TreeCounts(NamedTuple):
    """The tree, and training counts.

    Attributes:
        taxonomy: the tree, with N terminals.
        counts: (N,) training products of each terminal.
    """

    taxonomy: Taxonomy
    counts: np.ndarray


def content_hashes(products: Catalog | Iterable[Product]) -> np.ndarray:
    """(n,) uint64: the first half of the content hash of each product, enough to recognise training rows."""
    if isinstance(products, Catalog):
        keys = products.keys().tobytes()
    else:
        keys = b"".join(map(product_key, products))
    return np.frombuffer(keys, dtype="<u8")[::2].astype(np.uint64)


@dataclass(frozen=True, kw_only=True, repr=False)
class BasePredictor(ABC):
    """Base class of all models.

    Attributes:
        runtime: The kind of model, as in its manifest.
        members_folder: The subfolder of a bundle that holds the models of an ensemble or cascade.
        policy: Calibration, thresholds and guarantee.
        model_id: A hash of the model, `unsaved` before it is saved.
        results: Measurements, for the model card.
        batch: Products scored at once; predictions do not depend on it.
        rules: Rules that act on predictions.
    """

    runtime: ClassVar[str]
    members_folder: ClassVar[str | None] = None

    policy: Policy
    model_id: str = "unsaved"
    results: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 256
    rules: Ruleset | None = None

    @property
    @abstractmethod
    def taxonomy(self) -> Taxonomy:
        """The category tree."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[View, ...]:
        """The views that the model reads."""

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that the model reads."""
        return tuple(dict.fromkeys(view.name for view in self.inputs))

    @property
    def max_images(self) -> int:
        """The number of images read per product, the first ones; 0: none."""
        return max((view.images for view in self.inputs if view.modality == "image"), default=0)

    @property
    @abstractmethod
    def catalog_format(self) -> CatalogFormat | None:
        """Format and columns of the training catalog."""

    @abstractmethod
    def seen(self, products: Catalog | Iterable[Product]) -> np.ndarray:
        """(n,) bool: products whose content this model was trained on."""

    @abstractmethod
    def with_store(self, store: FeatureStore | None) -> Self:
        """A copy that caches frozen encoders' outputs on disk."""

    def with_policy(self, policy: Policy) -> Self:
        """A copy with another policy."""
        return self._replace(policy=policy)

    def with_rules(self, rules: Ruleset | str | Path | None, fields: Iterable[str] = ()) -> Self:
        """A copy whose predictions follow rules; None for none.

        Args:
            rules: The rules, or their file.
            fields: Fields that rules may name although the training catalog has no such column.

        Raises:
            RulesError: The file is malformed, or a rule names an unknown category or field.
        """
        if rules is None:
            return self._replace(rules=None)
        read = rules if isinstance(rules, Ruleset) else Ruleset.read(rules)
        bound = read.for_columns(self.catalog_format, fields)
        bound.on(self.taxonomy)
        return self._replace(rules=bound)

    def __repr__(self) -> str:
        return "\n".join(summary_lines(self))

    def _repr_html_(self) -> str:
        return model_html(self)

    @abstractmethod
    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]: ...

    @abstractmethod
    def _nearest(self, scored: ScoredBatch) -> Nearest | None: ...

    def score(self, products: Iterable[Product], without: Collection[str] = ()) -> Scores:
        """Score products; calibration is fitted on these scores, and `confidences` returns calibrated ones.

        Args:
            products: B products.
            without: names of views that count as missing.

        Returns:
            (B, N) uncalibrated log-probabilities.

        Raises:
            ValueError: the model has no view of a name in `without`.
        """
        parts = [part.scores.logp for part in self.score_batches(products, without)]
        empty = np.zeros((0, len(self.taxonomy.terminals)), np.float32)
        return Scores(self.taxonomy, np.concatenate([empty, *parts]))

    def confidences(self, products: Iterable[Product], without: Collection[str] = ()) -> Confidences:
        """The calibrated confidence of every category, as in predictions.

        Args:
            products: B products.
            without: names of views that count as missing.

        Raises:
            ValueError: the model has no view of a name in `without`.
        """
        uses_neighbors = self.policy.uses_neighbors
        parts = [
            self.policy.confidences(scored.scores, self._nearest(scored) if uses_neighbors else None)
            for scored in self.score_batches(products, without)
        ]
        return Confidences.join(self.taxonomy, parts)

    @overload
    def predict(
        self,
        source: Product | Mapping[str, Any],
        *,
        precision: float | None = None,
        progress: Progress | bool | None = None,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        source: str,
        *,
        precision: float | None = None,
        progress: Progress | bool | None = None,
    ) -> Prediction | Predictions: ...
    @overload
    def predict(
        self,
        source: PredictSource,
        *,
        precision: float | None = None,
        progress: Progress | bool | None = None,
    ) -> Predictions: ...
    def predict(
        self,
        source: PredictSource,
        *,
        precision: float | None = None,
        progress: Progress | bool | None = None,
    ) -> Prediction | Predictions:
        """Predict the categories of products.

        Columns are read as those of the training catalog, where their names are equal. A string that names an
        existing file is read as a file; any other string is a title.

        Args:
            source: A data frame (pandas, polars), an Arrow table, a `Catalog`, a file, several files, or rows
                as mappings, `Product`s or titles; or one mapping, `Product` or title.
            precision: A point of the model's operating curve; by default that of its policy.
            progress: True to show progress on standard error. Default: a bar in notebooks only.

        Returns:
            B predictions, in order; a single prediction for one mapping, `Product` or title.

        Raises:
            SourceTypeError: A `TypeError`: the source is something else.
            PolicyError: The model's curve has no point of this precision.
            CatalogError: No row has anything that the model reads.
        """
        reporter = choose_progress(progress)
        products, single, index = read_inputs(source, self, reporter)
        if isinstance(products, Catalog) and len(products):
            check_columns(self, products)
        with reporter("classifying", len(products)) as advance:
            predictions_ = Predictions(
                self.predict_stream(products, advance, precision=precision), products, index
            )
        return predictions_[0] if single else predictions_

    def predict_stream(
        self,
        products: Iterable[Product],
        advance: Advance | None = None,
        *,
        precision: float | None = None,
    ) -> Iterator[Prediction]:
        """Predict the categories of a stream of any length; a few batches are in memory at a time.

        Args:
            products: A stream of products.
            advance: Called with the size of each batch.
            precision: As of `predict`.

        Yields:
            One prediction per product, in order.
        """
        parts = self._scored(products, ())
        policy = self.policy if precision is None else self.policy.at(precision)
        yield from predictions_of(parts, products, policy, self._nearest, self.model_id, advance, self.rules)

    def predict_and_embed(
        self, products: Iterable[Product], advance: Advance | None = None
    ) -> tuple[list[Prediction], np.ndarray]:
        """B predictions, and the vectors (B, D) that the products are searched by; each is scored once."""
        embeddings: list[np.ndarray] = []

        def parts() -> Iterator[tuple[list[Product], ScoredBatch]]:
            for batch, scored in self._scored(products, ()):
                embeddings.append(scored.embedding)
                yield batch, scored

        predictions_ = predictions_of(
            parts(), products, self.policy, self._nearest, self.model_id, advance, self.rules
        )
        predictions = list(predictions_)
        return predictions, np.concatenate(embeddings) if embeddings else np.zeros((0, 0), np.float32)

    def nearest(self, products: Iterable[Product]) -> Nearest | None:
        """The most similar training products; None for a model without a k-NN index."""
        parts = [self._nearest(part) for part in self.score_batches(products)]
        neighbors = [part for part in parts if part is not None]
        return Nearest.join(neighbors) if neighbors else None

    def score_with_neighbors(
        self, products: Iterable[Product], advance: Advance | None = None
    ) -> Iterator[tuple[ScoredBatch, Nearest | None]]:
        """Score products a batch at a time, with their most similar training products.

        Args:
            products: A stream of products.
            advance: Called with the size of each batch.

        Yields:
            Scores, and neighbors; None for a model without a k-NN index.
        """
        for batch, scored in self._scored(products, ()):
            yield scored, self._nearest(scored)
            if advance:
                advance(len(batch))

    def score_batches(
        self, products: Iterable[Product], without: Collection[str] = ()
    ) -> Iterator[ScoredBatch]:
        """Score products a batch at a time; arguments as of `score`."""
        for _, scored in self._scored(products, without):
            yield scored

    @abstractmethod
    def write_files(self, folder: Path) -> str | None:
        """Write the files that only this kind of model has.

        Returns:
            The model's id; None to derive it from the files.
        """

    def save(self, folder: str | Path) -> Self:
        """Write a bundle, which can be loaded on another machine.

        Args:
            folder: a new folder, or a bundle, which is replaced.

        Returns:
            The model with its id.

        Raises:
            BundleError: the folder exists and is no bundle, or cannot be written.
        """
        return self._replace(model_id=write_bundle(self, Path(folder)))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        license: str | None = None,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        create_pr: bool = False,
        token: str | None = None,
    ) -> str:
        """Write the model and a model card to a repository of the Hugging Face Hub, which is created where it
        does not exist. `aisle.load("hf://org/model")` loads it.

        Args:
            repo_id: `org/model`, or `model` for one of your own.
            license: of the model, as the Hub names it: `apache-2.0`, `cc-by-nc-4.0`, `other`.
            private: whether a new repository is private; by default as set for the organisation.
            revision: a branch, which is created where it does not exist; `main` by default.
            commit_message: of the commit; by default the model's id.
            create_pr: open a pull request, instead of a commit.
            token: by default that of `hf auth login` or `HF_TOKEN`.

        Returns:
            The address of the repository, or of the pull request.

        Raises:
            HubError: access is denied, or the Hub cannot be reached.
            MissingExtraError: huggingface_hub is not installed.
        """
        from aisle.inference import hub

        return hub.push(
            self,
            repo_id,
            license=license,
            private=private,
            revision=revision,
            commit_message=commit_message,
            create_pr=create_pr,
            token=token,
        )

    def _replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def _check(self, without: Collection[str]) -> None:
        if unknown := set(without) - set(self.views):
            raise ValueError(f"no view {min(unknown)!r}; this model reads {', '.join(self.views)}")
