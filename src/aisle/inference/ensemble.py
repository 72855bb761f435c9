"""An ensemble: the mean of several models' probabilities, or a LightGBM model stacked on their scores.

In a folder: `ensemble.json` (names, weights, members' ids), `policy.json`, `results.json`, `stack.txt` (the
stacked model in LightGBM's text format) and `members/`, one whole model each.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aisle.data import Catalog, Product
from aisle.data.catalog_format import CatalogFormat
from aisle.errors import BundleError
from aisle.guarantee import Policy
from aisle.guarantee.nearest import Nearest
from aisle.inference.base_predictor import BasePredictor
from aisle.inference.batches import ScoredBatch, batched
from aisle.inference.bundle import open_members, read_bundle, read_policy
from aisle.inference.folder import write_json
from aisle.inference.stack import Stack, mean_of
from aisle.models.features import FeatureStore
from aisle.models.views import View
from aisle.taxonomy import Scores, Taxonomy

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor


@dataclass(frozen=True, repr=False)
class Ensemble(BasePredictor):
    """An ensemble of M models over one tree.

    Attributes:
        members: The models.
        names: Their names.
        weights: (M,) weights of the mean of probabilities.
        stack: The stacked model, which replaces the mean.

    Raises:
        BundleError: no member, or members over different trees.
    """

    runtime: ClassVar[str] = "ensemble"
    members_folder: ClassVar[str | None] = "members"

    members: "tuple[Predictor, ...]"
    names: tuple[str, ...]
    weights: np.ndarray
    stack: Stack | None = None

    def __post_init__(self) -> None:
        if not self.members:
            raise BundleError("an ensemble needs at least one model")
        for name, member in zip(self.names, self.members, strict=True):
            if member.taxonomy.fingerprint != self.taxonomy.fingerprint:
                raise BundleError(
                    f"{name} and {self.names[0]} have different category trees: train both on one shop"
                )

    @classmethod
    def of(
        cls, members: "Sequence[Predictor]", names: Sequence[str], weights: Sequence[float] | None = None
    ) -> "Ensemble":
        """The mean of models, without a guarantee.

        Args:
            members: M models, over one tree.
            names: their names.
            weights: (M,) not negative; equal by default.

        Raises:
            BundleError: no member, or other weights.
        """
        if weights is not None and (len(weights) != len(members) or min(weights) < 0 or not sum(weights)):
            raise BundleError(
                f"{len(members)} models take as many weights, none negative: {list(weights)} are not"
            )
        w = np.ones(len(members)) if weights is None else np.asarray(weights, dtype=float)
        if not len(members):
            raise BundleError("an ensemble needs at least one model")
        policy = Policy.uncalibrated(members[0].taxonomy)
        return cls(tuple(members), tuple(names), w / w.sum(), policy=policy)

    # -- what it reads and knows --------------------------------------------------------------

    @property
    def taxonomy(self) -> Taxonomy:
        """The category tree."""
        return self.members[0].taxonomy

    @property
    def context(self) -> Any:
        """The first member's tree and training counts."""
        return self.members[0].context

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that any member reads."""
        return tuple(dict.fromkeys(view for member in self.members for view in member.inputs))

    @property
    def catalog_format(self) -> CatalogFormat | None:
        """Format and columns of the training catalog."""
        return next((m.catalog_format for m in self.members if m.catalog_format is not None), None)

    @property
    def store(self) -> FeatureStore | None:
        """The feature store of frozen encoders' outputs."""
        return self.members[0].store

    def with_store(self, store: FeatureStore | None) -> "Ensemble":
        """A copy that caches frozen encoders' outputs on disk."""
        return dataclasses.replace(self, members=tuple(m.with_store(store) for m in self.members))

    def seen(self, products: Catalog | Iterable[Product]) -> np.ndarray:
        """(n,) bool: products whose content any member was trained on."""
        return np.any([member.seen(products) for member in self.members], 0)

    # -- predicting ---------------------------------------------------------------------------

    def contributions(self, products: Iterable[Product]) -> list[dict[str, float]]:
        """The contribution of each member to the log-odds of the predicted category; stacked ensembles only.

        Args:
            products: n products.

        Returns:
            n contributions by member (SHAP values), see `Stack.contributions`.

        Raises:
            BundleError: the ensemble is not stacked.
        """
        if self.stack is None:
            raise BundleError(
                "this ensemble is a mean; only a stacked one tells what each member contributes"
            )
        contributions: list[dict[str, float]] = []
        for batch in batched(products, self.batch):
            scores = [part.scores.logp for part in self._score_members(batch, ())]
            contributions += self.stack.contributions(scores, self.taxonomy, self._counts)
        return contributions

    @property
    def _counts(self) -> np.ndarray:
        return np.asarray(self.context.counts)

    def _score_members(self, batch: list[Product], without: Collection[str]) -> list[ScoredBatch]:
        return [
            next(iter(member.score_batches(batch, set(without) & set(member.views))))
            for member in self.members
        ]

    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]:
        self._check(without)
        for batch in batched(products, min([self.batch, *(m.batch for m in self.members)])):
            parts = self._score_members(batch, without)
            logps = [part.scores.logp.astype(np.float64) for part in parts]
            if self.stack is None:
                logp = mean_of(logps, self.weights)
            else:
                logp = self.stack.score(logps, self.taxonomy, self._counts)
            spaces = next((p.spaces for m, p in zip(self.members, parts, strict=True) if m.knn_index), {})
            problems = [
                tuple(dict.fromkeys(message for problems in row for message in problems))
                for row in zip(*(part.problems for part in parts), strict=True)
            ]
            present = np.concatenate([part.present for part in parts], 1)
            yield (
                batch,
                ScoredBatch(Scores(self.taxonomy, logp), parts[0].embedding, present, problems, spaces),
            )

    def _nearest(self, scored: ScoredBatch) -> Nearest | None:
        index = next((member.knn_index for member in self.members if member.knn_index), None)
        return index.query(scored.spaces, self.taxonomy) if index else None

    def write_files(self, folder: Path) -> None:
        """Write every member as a bundle, the weights, and the stacked model."""
        saved = [member.save(folder / "members" / str(i)) for i, member in enumerate(self.members)]
        if self.stack is not None:
            (folder / "stack.txt").write_text(self.stack.model)
        data = {
            "names": list(self.names),
            "weights": self.weights.tolist(),
            "members": [member.model_id for member in saved],
        }
        write_json(folder / "ensemble.json", data)

    @classmethod
    def load(cls, folder: Path, open_member: "Callable[[Path], Predictor]") -> "Ensemble":
        """Read an ensemble.

        Args:
            folder: its bundle.
            open_member: opens the bundle of a member.

        Raises:
            BundleError: it or a member is missing, truncated, edited, malformed or of another format.
        """

        def read(home: Path, manifest: dict[str, Any]) -> Ensemble:
            data = json.loads((home / "ensemble.json").read_text())
            stack = (home / "stack.txt").read_text() if "stack.txt" in manifest["files"] else None
            return cls(
                tuple(open_members(home / "members", data["members"], open_member)),
                tuple(data["names"]),
                np.array(data["weights"], dtype=float),
                stack=None if stack is None else Stack(data["names"], stack),
                **read_policy(home, manifest),
            )

        return read_bundle(folder, cls.runtime, read)
