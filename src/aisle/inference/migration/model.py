"""A model that answers in another version of its tree.

The earlier model stays as it is, in `members/0`; its log-probabilities are carried over (`transfer.json`,
`transfer.safetensors`). Categories that nothing is handed to are scored by their names and examples, where
the earlier model can (`zero_shot.json`).
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aisle.data import Catalog, Product
from aisle.data.catalog_format import CatalogFormat
from aisle.guarantee import Nearest
from aisle.inference.base_predictor import BasePredictor, TreeCounts, content_hashes
from aisle.inference.batches import ScoredBatch
from aisle.inference.bundle import open_members, read_bundle, read_policy
from aisle.inference.folder import write_json
from aisle.inference.migration.split_head import hashed_texts, joined
from aisle.inference.migration.transfer import Transfer
from aisle.inference.zero_shot import ZeroShot
from aisle.models.views import View
from aisle.taxonomy import Scores, Taxonomy


@dataclass(frozen=True, repr=False)
class MigratedModel(BasePredictor):
    """A model over a new tree, made of one over the earlier tree.

    Attributes:
        earlier: The earlier model.
        transfer: From its tree to the new one.
        zero_shot: Scores categories that no earlier one hands anything to; None: they are never predicted.
    """

    runtime: ClassVar[str] = "migrated"
    members_folder: ClassVar[str | None] = "members"

    earlier: Any
    transfer: Transfer
    zero_shot: ZeroShot | None = None

    @property
    def taxonomy(self) -> Taxonomy:
        """The new tree."""
        return self.transfer.new

    @property
    def context(self) -> TreeCounts:
        """The new tree, and the training products of its terminals."""
        return TreeCounts(self.taxonomy, self.transfer.counts(self.earlier.context.counts))

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that the earlier model reads."""
        return self.earlier.inputs

    @property
    def catalog_format(self) -> CatalogFormat | None:
        """Format and columns of the training catalog."""
        return self.earlier.catalog_format

    @property
    def store(self) -> Any:
        """The feature store of frozen encoders' outputs."""
        return self.earlier.store

    def with_store(self, store: Any) -> "MigratedModel":
        """A copy that caches frozen encoders' outputs on disk."""
        return dataclasses.replace(self, earlier=self.earlier.with_store(store))

    def seen(self, products: Catalog | Iterable[Product]) -> np.ndarray:
        """(n,) bool: products whose content the earlier model was trained on, or an example has."""
        products = products if isinstance(products, Catalog) else list(products)
        return self.earlier.seen(products) | np.isin(content_hashes(products), self.transfer.examples)

    def embed(self, products: Iterable[Product]) -> np.ndarray:
        """(B, D) the earlier model's vectors that products are searched by."""
        return self.earlier.embed(products)

    def carried_over(self, logp: np.ndarray, products: list[Product], spaces: Any = None) -> np.ndarray:
        """(B, N) log-probabilities over the new tree.

        Args:
            logp: (B, K) over the earlier tree.
            products: B products.
            spaces: their embeddings by view; computed where they are needed by default.
        """
        head = self.transfer.head
        if spaces is None:
            reads = self.zero_shot is not None or (head is not None and head.views)
            spaces = self.earlier.view_embeddings(products) if reads else {}

        def features(rows: np.ndarray) -> np.ndarray:
            if head is None or not head.views:
                return hashed_texts([products[i] for i in rows])
            return joined({name: spaces[name][rows] for name in head.views}, head.views)

        logp = self.transfer.apply(logp, features)
        if self.zero_shot is not None and len(spaces):
            logp = self.zero_shot.apply(logp, spaces, self.taxonomy)
        return logp

    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]:
        for batch, scored in self.earlier._scored(products, without):
            logp = self.carried_over(scored.scores.logp, batch, scored.spaces)
            yield batch, scored._replace(scores=Scores(self.taxonomy, logp))

    def _nearest(self, scored: ScoredBatch) -> Nearest | None:
        return self.transfer.nearest(self.earlier._nearest(scored))

    def write_files(self, folder: Path) -> None:
        """Write the earlier model as a bundle, and what carries its scores over."""
        saved = self.earlier.save(folder / "members" / "0")
        self.transfer.save(folder)
        if self.zero_shot is not None:
            self.zero_shot.save(folder)
        write_json(folder / "migrated.json", {"members": [saved.model_id]})

    @classmethod
    def load(cls, folder: Path, open_member: Callable[[Path], Any]) -> "MigratedModel":
        """Read a migrated model.

        Args:
            folder: its bundle.
            open_member: opens the bundle of the earlier model.

        Raises:
            BundleError: it is missing, truncated, edited, malformed or of another format.
        """

        def read(home: Path, manifest: dict[str, Any]) -> MigratedModel:
            data = json.loads((home / "migrated.json").read_text())
            (earlier,) = open_members(home / "members", data["members"], open_member)
            return cls(earlier, Transfer.load(home), ZeroShot.load(home), **read_policy(home, manifest))

        return read_bundle(folder, cls.runtime, read)
