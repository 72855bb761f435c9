"""Base classes of single models: k-NN index, training rows, new categories. No torch here."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from aisle.data import Catalog, Product
from aisle.data.catalog_format import CatalogFormat
from aisle.errors import CatalogError
from aisle.guarantee import Nearest, Policy
from aisle.inference.base_predictor import BasePredictor, content_hashes
from aisle.inference.batches import ScoredBatch
from aisle.inference.knn_index import KnnIndex
from aisle.inference.zero_shot import EXAMPLES, ZeroShot, fit, name_products, update_means
from aisle.taxonomy import Targets, Taxonomy


@dataclass(frozen=True, kw_only=True, repr=False)
class SinglePredictor(BasePredictor):
    """Base class of all models but ensembles and cascades: `context`, training rows and k-NN index.

    Attributes:
        context: The tree and training counts (networks: and name embeddings).
        seen_keys: (n,) sorted content hashes (uint64) of the training rows.
        knn_index: Index of training products, for k-NN calibration and out-of-distribution detection.
        catalog_format: Format and columns of the training catalog.
    """

    context: Any
    seen_keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    knn_index: KnnIndex | None = None
    catalog_format: CatalogFormat | None = None

    @property
    def taxonomy(self) -> Taxonomy:
        """The category tree."""
        return self.context.taxonomy

    def _nearest(self, scored: ScoredBatch) -> Nearest | None:
        return self.knn_index.query(scored.spaces, self.taxonomy) if self.knn_index else None

    def seen(self, products: Catalog | Iterable[Product]) -> np.ndarray:
        """(n,) bool: products whose content this model was trained on."""
        return np.isin(content_hashes(products), self.seen_keys)


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainedPredictor(SinglePredictor):
    """Base class of linear models and networks, as they were trained.

    Attributes:
        zero_shot: Scores categories without training products.
    """

    zero_shot: ZeroShot | None = None

    @property
    @abstractmethod
    def knn_views(self) -> tuple[str, ...]:
        """The views whose vectors the k-NN index holds."""

    @abstractmethod
    def view_embeddings(self, products: Iterable[Product]) -> dict[str, np.ndarray]:
        """(B, D) vectors of each view of `knn_views`, computed without the tree; zero if it is missing."""

    def with_knn_index(self, catalog: Catalog, node_ids: Sequence[str]) -> Self:
        """A copy whose k-NN index also holds these products.

        Args:
            catalog: n products.
            node_ids: (n,) ids of their categories.
        """
        if not self.knn_views:
            return self
        index = KnnIndex.of(self.view_embeddings(catalog), node_ids, self.knn_index)
        return self._replace(knn_index=index if index.spaces else None)

    def with_examples(self, catalog: Catalog) -> Self:
        """A copy that scores new categories (`with_taxonomy`) by similarity to a few labelled products.

        The copy is not calibrated: nothing is guaranteed.

        Args:
            catalog: Labelled products; those without a label are left out.

        Raises:
            TaxonomyError: A label is not in the tree.
            CatalogError: The model has no zero-shot scorer, because it was trained without a hold-out.
        """
        if self.zero_shot is None:
            raise CatalogError(
                "this model kept no rows aside when it was trained, so similarity to examples is not "
                "calibrated: train it with [split] calibration and threshold above 0, and a frozen view"
            )
        labelled = catalog.select([bool(p.categories) for p in catalog] if len(catalog) else [])
        node_ids = [self.taxonomy.nodes[self.taxonomy.index(p.categories[0])].id for p in labelled]
        is_terminal = [self.taxonomy.terminal_of[self.taxonomy.index(node)] >= 0 for node in node_ids]
        kept = [node for node, ends in zip(node_ids, is_terminal, strict=True) if ends]
        if not kept:
            return self
        vectors = self.view_embeddings(labelled.select(np.array(is_terminal)))
        zero_shot = self.zero_shot.with_examples(vectors, kept, self.taxonomy)
        policy = Policy.uncalibrated(self.taxonomy)
        return self._replace(zero_shot=zero_shot, policy=policy, model_id="unsaved")

    def with_zero_shot(self, catalog: Catalog, targets: Targets) -> Self:
        """A copy with a zero-shot scorer, fitted with leaves held out (`aisle.inference.zero_shot`).

        Args:
            catalog: n products that training did not use.
            targets: Their categories.

        Returns:
            The copy; this model itself if it has no k-NN index or the rows have fewer than two leaves.
        """
        terminal = np.where(targets.node >= 0, self.taxonomy.terminal_of[targets.node], -1)
        rows = np.flatnonzero((terminal >= 0) & targets.exact)
        if self.knn_index is None or len(np.unique(terminal[rows])) < 2:
            return self
        parts = list(self.score_batches(catalog.select(rows)))
        logp = np.concatenate([part.scores.logp for part in parts])
        spaces = {name: np.concatenate([part.spaces[name] for part in parts]) for name in self.knn_views}
        return self._replace(zero_shot=fit(logp, spaces, terminal[rows], *self._terminal_vectors()))

    def _terminal_vectors(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """(N, D) vectors by view: of each terminal's name, and the mean of a few of its indexed products."""
        names = self.view_embeddings(name_products(self.taxonomy))
        means = {name: np.zeros_like(vectors) for name, vectors in names.items()}
        for name, space in (self.knn_index.spaces if self.knn_index else {}).items():
            nodes = [self.taxonomy.find(str(node_id)) for node_id in space.node_ids]
            terminal = np.array([-1 if n is None else self.taxonomy.terminal_of[n] for n in nodes])
            neighbor_vectors = np.concatenate(
                [np.flatnonzero(terminal == t)[:EXAMPLES] for t in np.unique(terminal[terminal >= 0])]
                or [np.zeros(0, np.int64)]
            )
            means[name] = update_means(
                space.vectors[neighbor_vectors], terminal[neighbor_vectors], means[name]
            )
        return names, means

    def _zero_shot_terminals(self) -> ZeroShot | None:
        """The zero-shot scorer of the terminals without training products."""
        terminals = self.taxonomy.terminals[np.asarray(self.context.counts) == 0]
        if self.zero_shot is None or not len(terminals) or len(terminals) == len(self.taxonomy.terminals):
            return self.zero_shot and ZeroShot(self.zero_shot.named, self.zero_shot.shown)
        names, means = self._terminal_vectors()
        new = tuple(self.taxonomy.nodes[node].id for node in terminals)
        return ZeroShot(self.zero_shot.named, self.zero_shot.shown, new, names, means)
