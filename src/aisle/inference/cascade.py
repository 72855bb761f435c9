"""A cascade: cheap models classify the products they are confident about, the others pass to the next model.

In a folder: `cascade.json` (thresholds, ids of the stages), `results.json` (names, measured shares and
costs), `policy.json`, and `stages/0`, `stages/1`, …, one whole model each. No torch, unless a stage needs
it.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aisle.data import Catalog, Product
from aisle.data.catalog_format import CatalogFormat
from aisle.errors import BundleError
from aisle.guarantee import Nearest
from aisle.inference.base_predictor import BasePredictor
from aisle.inference.batches import LazyEmbeddings, ScoredBatch, batched
from aisle.inference.bundle import open_members, read_bundle, read_policy
from aisle.inference.folder import write_json
from aisle.models.views import View
from aisle.taxonomy import Scores, Taxonomy


@dataclass(frozen=True, repr=False)
class Cascade(BasePredictor):
    """A cascade of models over one tree.

    A product gets the scores of the first model whose best log-probability reaches its threshold; those of
    the last model otherwise.

    `results["cascade"]["stages"]` has the name, share of products and cost of each stage.

    Attributes:
        models: Two or more, cheapest first.
        thresholds: Log-probabilities, of each model but the last.

    Raises:
        BundleError: two of them have different category trees.
    """

    runtime: ClassVar[str] = "cascade"
    members_folder: ClassVar[str | None] = "stages"

    models: tuple[Any, ...]
    thresholds: tuple[float, ...]
    batch: int = field(default=1024, kw_only=True)

    def __post_init__(self) -> None:
        assert len(self.models) == len(self.thresholds) + 1
        if len({model.taxonomy.fingerprint for model in self.models}) > 1:
            raise BundleError("the stages have different category trees: train all of them on one shop")

    @property
    def cheap(self) -> Any:
        """The first model."""
        return self.models[0]

    @property
    def full(self) -> Any:
        """The last model."""
        return self.models[-1]

    # -- what it reads and knows --------------------------------------------------------------

    @property
    def taxonomy(self) -> Taxonomy:
        """The category tree."""
        return self.full.taxonomy

    @property
    def context(self) -> Any:
        """The last model's tree and training counts."""
        return self.full.context

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that any stage reads."""
        return tuple(dict.fromkeys(view for model in self.models for view in model.inputs))

    @property
    def catalog_format(self) -> CatalogFormat | None:
        """Format and columns of the training catalog of the last model, or else of another stage."""
        formats = (model.catalog_format for model in reversed(self.models))
        return next((format_ for format_ in formats if format_ is not None), None)

    @property
    def store(self) -> Any:
        """The feature store of frozen encoders' outputs."""
        return self.full.store

    @property
    def stages(self) -> list[dict[str, Any]]:
        """For each stage its `name`, the `share` of held-out products that it classified, and `milliseconds`
        of processor time per product that reached it."""
        return list(self.results.get("cascade", {}).get("stages", []))

    def with_store(self, store: Any) -> "Cascade":
        """A copy that caches frozen encoders' outputs on disk."""
        return dataclasses.replace(self, models=tuple(model.with_store(store) for model in self.models))

    def seen(self, products: Catalog | Iterable[Product]) -> np.ndarray:
        """(n,) bool: products whose content any stage was trained on."""
        return np.any([model.seen(products) for model in self.models], axis=0)

    # -- predicting ---------------------------------------------------------------------------

    def embed(self, products: Iterable[Product]) -> np.ndarray:
        """(B, D) the last model's vectors that products are searched by."""
        return self.full.embed(products)

    def nearest(self, products: Iterable[Product]) -> Nearest | None:
        """The most similar training products by the first model; None without a k-NN index."""
        return self.cheap.nearest(products)

    def _nearest(self, scored: ScoredBatch) -> Nearest | None:
        index = getattr(self.cheap, "knn_index", None)
        return index.query(scored.spaces, self.taxonomy) if index else None

    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]:
        self._check(without)
        for batch in batched(products, self.batch):
            scored, _ = self._score_stages(batch, without)
            yield batch, scored

    def stage_of(self, products: Iterable[Product]) -> np.ndarray:
        """(n,) the stage that classifies each product, from 0."""
        parts = [self._score_stages(batch, ())[1] for batch in batched(products, self.batch)]
        return np.concatenate([np.zeros(0, int), *parts])

    def _score_stages(self, batch: list[Product], without: Collection[str]) -> tuple[ScoredBatch, np.ndarray]:
        """The scores of a batch, and the stage that each product's are from."""
        scored, stage = _score_all(self.cheap, batch, without), np.zeros(len(batch), int)
        for i, (model, threshold) in enumerate(zip(self.models[1:], self.thresholds, strict=True)):
            unsure = np.flatnonzero((stage == i) & (scored.scores.logp.max(1) < threshold))
            if not len(unsure):
                break
            scored = _replace_rows(scored, unsure, _score_all(model, [batch[k] for k in unsure], without))
            stage[unsure] = i + 1
        return scored, stage

    def write_files(self, folder: Path) -> None:
        """Write every stage as a bundle, and the thresholds."""
        saved = [model.save(folder / "stages" / str(i)) for i, model in enumerate(self.models)]
        data = {"thresholds": list(self.thresholds), "stages": [stage.model_id for stage in saved]}
        write_json(folder / "cascade.json", data)

    @classmethod
    def load(cls, folder: Path, open_stage: Callable[[Path], Any]) -> "Cascade":
        """Read a cascade.

        Args:
            folder: its bundle.
            open_stage: opens the bundle of a stage.

        Raises:
            BundleError: it or a stage is missing, truncated, edited, malformed or of another format.
        """

        def read(home: Path, manifest: dict[str, Any]) -> Cascade:
            data = json.loads((home / "cascade.json").read_text())
            models = tuple(open_members(home / "stages", data["stages"], open_stage))
            return cls(models, tuple(data["thresholds"]), **read_policy(home, manifest))

        return read_bundle(folder, cls.runtime, read)


def _score_all(model: Any, products: list[Product], without: Collection[str]) -> ScoredBatch:
    """The scores of one stage, as one batch."""
    parts = list(model.score_batches(products, set(without) & set(model.views)))
    spaces = LazyEmbeddings({name: partial(_concatenated, parts, name) for name in parts[0].spaces})
    return ScoredBatch(
        Scores(model.taxonomy, np.concatenate([part.scores.logp for part in parts])),
        np.zeros((len(products), 0), np.float32),
        np.asarray(np.concatenate([part.present for part in parts]).any(1, keepdims=True)),
        [problems for part in parts for problems in part.problems],
        spaces,
    )


def _concatenated(parts: list[ScoredBatch], view: str) -> np.ndarray:
    return np.concatenate([part.spaces[view] for part in parts])


def _replace_rows(first: ScoredBatch, rows: np.ndarray, second: ScoredBatch) -> ScoredBatch:
    """The first stage's batch with the scores of these rows from a later one; embeddings stay the first's."""
    logp, present, problems = first.scores.logp.copy(), first.present.copy(), list(first.problems)
    logp[rows] = second.scores.logp
    present[rows] |= second.present
    for row, added in zip(rows, second.problems, strict=True):
        problems[row] = tuple(dict.fromkeys((*problems[row], *added)))
    return first._replace(scores=Scores(first.scores.taxonomy, logp), present=present, problems=problems)
