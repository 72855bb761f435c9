"""A cascade: cheap models classify the products they are confident about, the others pass to the next model.

In a folder: `cascade.json` (thresholds, ids of the stages), `results.json` (names, measured shares and
costs), `policy.json`, and `stages/0`, `stages/1`, …, one whole model each. No torch, unless a stage needs
it.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aisle.data import Catalog, Product
from aisle.data.catalog_format import CatalogFormat
from aisle.errors import BundleError
from aisle.guarantee import Nearest, Policy
from aisle.inference.base_predictor import BasePredictor, LazyEmbeddings, ScoredBatch, batched
from aisle.inference.bundle import open_members, read_bundle, read_policy
from aisle.inference.folder import write_json
from aisle.models.views import View
from aisle.taxonomy import Scores, Taxonomy


@dataclass(frozen=True)
class Cascade(BasePredictor):
    """The first model's answer where the log-probability of its best place is at least the first threshold,
    else the second's where it reaches the second, and so on; the last model answers the rest. Any models
    that answer what a predictor is asked, over one tree.

    models: two or more, cheapest first. thresholds: of each but the last. results: `stages` tells of each
    its name, the share of products it answered and what it costs. batch: products that wait for each other;
    answers do not depend on it.

    Raises:
        BundleError: two of them have different category trees.
    """

    runtime: ClassVar[str] = "cascade"
    members_folder: ClassVar[str | None] = "stages"

    models: tuple[Any, ...]
    thresholds: tuple[float, ...]
    policy: Policy
    model_id: str = "unsaved"
    results: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 1024

    def __post_init__(self) -> None:
        assert len(self.models) == len(self.thresholds) + 1
        if len({model.taxonomy.fingerprint for model in self.models}) > 1:
            raise BundleError("the stages have different category trees: train all of them on one shop")

    @property
    def cheap(self) -> Any:
        """The model that is asked first."""
        return self.models[0]

    @property
    def full(self) -> Any:
        """The model for what no other is sure of."""
        return self.models[-1]

    # -- what it reads and knows --------------------------------------------------------------

    @property
    def taxonomy(self) -> Taxonomy:
        """The category tree."""
        return self.full.taxonomy

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views that any stage reads."""
        return tuple(dict.fromkeys(view for model in self.models for view in model.views))

    @property
    def max_images(self) -> int:
        """The number of images read per product, the first ones; 0: none."""
        return max(model.max_images for model in self.models)

    @property
    def context(self) -> Any:
        """The full model's: training products of each place."""
        return self.full.context

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that any stage reads, and of what."""
        return tuple(dict.fromkeys(view for model in self.models for view in model.inputs))

    @property
    def catalog_format(self) -> CatalogFormat | None:
        """How the catalog that the full model was trained on is written, else that of another stage."""
        formats = (model.catalog_format for model in reversed(self.models))
        return next((one for one in formats if one is not None), None)

    @property
    def store(self) -> Any:
        """The feature store of frozen encoders' outputs."""
        return self.full.store

    @property
    def stages(self) -> list[dict[str, Any]]:
        """Of each stage its `name`, the `share` of held-out products that it answered, and `milliseconds` of
        processor time a product that reaches it."""
        return list(self.results.get("cascade", {}).get("stages", []))

    def with_store(self, store: Any) -> "Cascade":
        """A copy that caches frozen encoders' outputs on disk."""
        return dataclasses.replace(self, models=tuple(model.with_store(store) for model in self.models))

    def with_policy(self, policy: Policy) -> "Cascade":
        """The same stages with another policy."""
        return dataclasses.replace(self, policy=policy)

    def seen(self, products: Catalog | Sequence[Product]) -> np.ndarray:
        """(n,) bool: products whose content any stage was trained on."""
        return np.any([model.seen(products) for model in self.models], axis=0)

    # -- predicting ---------------------------------------------------------------------------

    def embed(self, products: Iterable[Product]) -> np.ndarray:
        """(B, D) the full model's vectors: products are found by those of one model."""
        return self.full.embed(products)

    def nearest(self, products: Iterable[Product]) -> Nearest | None:
        """What the products that the cheap model learned from say of these; None without a memory of them."""
        return self.cheap.nearest(products)

    def _nearest(self, scored: ScoredBatch) -> Nearest | None:
        index = getattr(self.cheap, "knn_index", None)
        return index.ask(scored.spaces, self.taxonomy) if index else None

    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]:
        self._check(without)
        for batch in batched(products, self.batch):
            scored, _ = self._descend(batch, without)
            yield batch, scored

    def answered_by(self, products: Iterable[Product]) -> np.ndarray:
        """(N,) which stage answers each product, 0 the first."""
        parts = [self._descend(batch, ())[1] for batch in batched(products, self.batch)]
        return np.concatenate([np.zeros(0, int), *parts])

    def _descend(self, batch: list[Product], without: Collection[str]) -> tuple[ScoredBatch, np.ndarray]:
        """What is said of a batch, and which stage says it."""
        scored, stage = _together(self.cheap, batch, without), np.zeros(len(batch), int)
        for i, (model, threshold) in enumerate(zip(self.models[1:], self.thresholds, strict=True)):
            unsure = np.flatnonzero((stage == i) & (scored.scores.logp.max(1) < threshold))
            if not len(unsure):
                break
            scored = _overruled(scored, unsure, _together(model, [batch[k] for k in unsure], without))
            stage[unsure] = i + 1
        return scored, stage

    def write_files(self, folder: Path) -> None:
        """Write every stage as a bundle, and the thresholds."""
        saved = [model.save(folder / "stages" / str(i)) for i, model in enumerate(self.models)]
        made_of = {"thresholds": list(self.thresholds), "stages": [stage.model_id for stage in saved]}
        write_json(folder / "cascade.json", made_of)

    @classmethod
    def load(cls, folder: Path, open_stage: Callable[[Path], Any]) -> "Cascade":
        """Read a cascade. open_stage: opens the bundle of a stage.

        Raises:
            BundleError: it or a stage is missing, truncated, edited, malformed or of another format.
        """

        def read(home: Path, manifest: dict[str, Any]) -> Cascade:
            made_of = json.loads((home / "cascade.json").read_text())
            models = tuple(open_members(home / "stages", made_of["stages"], open_stage))
            return cls(models, tuple(made_of["thresholds"]), **read_policy(home, manifest))

        return read_bundle(folder, cls.runtime, read)


def _together(model: Any, products: list[Product], without: Collection[str]) -> ScoredBatch:
    """All that one stage says of some products."""
    parts = list(model.score_batches(products, set(without) & set(model.views)))
    spaces = LazyEmbeddings({name: partial(_joined, parts, name) for name in parts[0].spaces})
    return ScoredBatch(
        Scores(model.taxonomy, np.concatenate([part.scores.logp for part in parts])),
        np.zeros((len(products), 0), np.float32),
        np.asarray(np.concatenate([part.present for part in parts]).any(1, keepdims=True)),
        [told for part in parts for told in part.problems],
        spaces,
    )


def _joined(parts: list[ScoredBatch], space: str) -> np.ndarray:
    return np.concatenate([part.spaces[space] for part in parts])


def _overruled(first: ScoredBatch, rows: np.ndarray, second: ScoredBatch) -> ScoredBatch:
    """What was said first, but of these rows what the next stage did. Neighbours stay the first's."""
    logp, present, problems = first.scores.logp.copy(), first.present.copy(), list(first.problems)
    logp[rows] = second.scores.logp
    present[rows] |= second.present
    for row, told in zip(rows, second.problems, strict=True):
        problems[row] = tuple(dict.fromkeys((*problems[row], *told)))
    return first._replace(scores=Scores(first.scores.taxonomy, logp), present=present, problems=problems)
