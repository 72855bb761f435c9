"""Products with categories of the new tree: they teach a migrated model, and test its guarantee."""

from typing import Any, NamedTuple

import numpy as np

from aisle.data import Catalog, Product
from aisle.errors import CatalogError
from aisle.guarantee import Nearest
from aisle.inference.base_predictor import content_hashes
from aisle.inference.label_targets import targets_in
from aisle.inference.labelled_scores import LabelledScores
from aisle.inference.migration.transfer import Transfer
from aisle.taxonomy import Scores, Targets, Taxonomy


class MigrationExamples(NamedTuple):
    """Products with categories of the new tree.

    Attributes:
        products: n products.
        terminal: (n,) their terminals of the new tree.
        row: (n,) the labelled row with the same content, -1 without one.
    """

    products: list[Product]
    terminal: np.ndarray
    row: np.ndarray

    @classmethod
    def of(
        cls, catalog: Catalog | None, new: Taxonomy, labelled: LabelledScores | None
    ) -> "MigrationExamples":
        """The products whose category takes products.

        Raises:
            CatalogError: there is none.
        """
        if catalog is None:
            return cls([], np.zeros(0, np.int64), np.zeros(0, np.int64))
        targets = targets_in(new, catalog)
        terminal = np.where((targets.node >= 0) & targets.exact, new.terminal_of[targets.node], -1)
        kept = np.flatnonzero(terminal >= 0)
        if not len(kept):
            raise CatalogError(
                f"none of the {len(catalog):,} examples has a category of the new tree that takes products"
            )
        catalog = catalog.select(kept)
        row = np.full(len(kept), -1) if labelled is None else labelled.rows_of(content_hashes(catalog))
        return cls(list(catalog), terminal[kept], row)

    def select(self, rows: np.ndarray) -> "MigrationExamples":
        """Those at some positions."""
        return MigrationExamples([self.products[i] for i in rows], self.terminal[rows], self.row[rows])

    def among(self, terminals: np.ndarray) -> "MigrationExamples":
        """Those of some terminals."""
        return self.select(np.flatnonzero(np.isin(self.terminal, terminals)))

    def both_nodes(self, new: Taxonomy, labelled: LabelledScores | None) -> list[tuple[int, int]]:
        """The old and the new node of each example that is a labelled row."""
        if labelled is None:
            return []
        known = self.row >= 0
        old, now = labelled.targets.node[self.row[known]], new.terminals[self.terminal[known]]
        return [(int(a), int(b)) for a, b in zip(old, now, strict=True) if a >= 0]

    def scored_before(self, model: Any, labelled: LabelledScores) -> tuple[np.ndarray, Nearest | None]:
        """Log-probabilities (n, K) over the old tree, and neighbors, by models that did not learn them: those
        that a run kept of labelled rows, those of `model` for others."""
        logp, near = model.score(self.products).logp.copy(), model.nearest(self.products)
        known = np.flatnonzero(self.row >= 0)
        logp[known] = labelled.scores.logp[self.row[known]]
        if near is None or labelled.nearest is None:
            return logp, None
        kept = labelled.nearest.take(self.row[known])
        for values, own in zip(near, kept, strict=True):
            values[known] = own
        return logp, near

    def add_to(
        self,
        moved: LabelledScores,
        logp: np.ndarray,
        nearest: Nearest | None,
        times: np.ndarray,
    ) -> LabelledScores:
        """Labelled rows with these in place of the same rows, or added.

        Args:
            moved: labelled rows over the new tree.
            logp: (n, N) log-probabilities of the examples over the new tree.
            nearest: their neighbors.
            times: (n,) how often each counts; its copies are one group.
        """
        others = np.setdiff1d(np.arange(len(moved.scores)), self.row)
        copies = np.repeat(np.arange(len(times)), times)
        row = np.maximum(self.row, 0)
        folds = np.unique(moved.fold)
        own = np.arange(len(row))
        fold = np.where(self.row >= 0, moved.fold[row], folds[own % len(folds)])
        group = np.where(self.row >= 0, moved.groups[row], moved.groups.max() + 1 + own)
        node = moved.scores.taxonomy.terminals[self.terminal]
        near = None
        if moved.nearest is not None and nearest is not None:
            near = Nearest.join([moved.nearest.take(others), nearest.take(copies)])
        targets = moved.targets
        return LabelledScores(
            Scores(moved.scores.taxonomy, np.concatenate([moved.scores.logp[others], logp[copies]])),
            Targets(
                np.concatenate([targets.node[others], node[copies]]),
                np.concatenate([targets.exact[others], np.ones(len(copies), bool)]),
            ),
            np.concatenate([moved.groups[others], group[copies]]),
            np.concatenate([moved.fold[others], fold[copies]]),
            near,
            moved.method,
            np.concatenate([moved.keys[others], content_hashes(self.products)[copies]]),
        )

    def copies(self, labelled: LabelledScores, transfer: Transfer) -> np.ndarray:
        """(n,) how many labelled rows of its old, split category each example stands for; at least 1."""
        source = np.full(len(transfer.new.terminals), -1)
        source[transfer.target] = transfer.source
        mine = source[self.terminal]
        node = labelled.targets.node[(labelled.targets.node >= 0) & labelled.targets.exact]
        rows = np.bincount(transfer.old.terminal_of[node], minlength=len(transfer.old.terminals))
        shown = np.bincount(mine[mine >= 0], minlength=len(rows))
        return np.where(mine >= 0, np.maximum(rows[mine] // np.maximum(shown[mine], 1), 1), 1)
