"""The evaluation set: labelled products, their true categories, and the scores of a method on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aisle.data import Catalog, Product
from aisle.errors import AisleError
from aisle.evaluation.branches import subtree_sums
from aisle.evaluation.collect import ScoreFn, TopPredictions, collect
from aisle.evaluation.scores import RowCounts, Summary
from aisle.evaluation.summary import confidence, summarize
from aisle.evaluation.trees import extend_tree, locate
from aisle.metrics import MatchedPredictions, Truth
from aisle.progress import Progress
from aisle.taxonomy import CategoryPath, Node, Targets, Taxonomy


@dataclass(frozen=True)
class MethodResult:
    """The predictions of one method, matched with the labels."""

    predictions: TopPredictions
    matched: MatchedPredictions
    summary: Summary

    @property
    def confidence(self) -> np.ndarray:
        """(B,) confidence in the matched categories."""
        return confidence(self.predictions, self.matched)

    @property
    def pairs(self) -> np.ndarray:
        """(B, 2) true and predicted label."""
        return np.stack([self.matched.node, self.matched.answer], 1)

    @property
    def top_right(self) -> np.ndarray:
        """(B,) bool: right at level 1."""
        return self.matched.shared >= 1


@dataclass(frozen=True)
class EvalSet:
    """Labelled products on which every method is scored.

    Attributes:
        products: The catalog.
        rows: (B,) positions of the labelled products.
        truth: Their acceptable categories, in the classifier's tree, extended by labels that it lacks.
        train: (M,) training products of each node of that tree; None if unknown.
    """

    products: Sequence[Product]
    rows: np.ndarray
    truth: Truth
    train: np.ndarray | None

    @classmethod
    def of(
        cls,
        tree: Taxonomy,
        catalog: Catalog,
        train_counts: Mapping[CategoryPath, int] | None,
        baseline: Catalog | None,
    ) -> "EvalSet":
        """Locate the labels of a catalog in the classifier's tree, extended by labels that it lacks.

        Raises:
            AisleError: No product has a label.
        """
        targets = catalog.targets()
        rows = np.flatnonzero((targets.node >= 0) & ~catalog.fatal)
        if not len(rows):
            raise AisleError(
                f"none of the {len(catalog):,} products has a label to evaluate on: "
                "name the column that holds categories"
            )
        catalog_tree = catalog.taxonomy
        also_acceptable = [_also_acceptable(catalog, int(i), int(targets.node[i])) for i in rows]
        used_nodes = {int(n) for n in targets.node[rows]}.union(*also_acceptable)
        others: list[Node] = [catalog_tree.nodes[n] for n in sorted(used_nodes)]
        if baseline is not None:
            others += baseline.taxonomy.nodes
        extended = extend_tree(tree, others)
        extended_node = np.full(len(catalog_tree), -1, dtype=np.int64)
        for n in used_nodes:
            located = locate(catalog_tree.nodes[n], extended)
            assert located is not None, catalog_tree.nodes[n]
            extended_node[n] = located
        primary = Targets(extended_node[targets.node[rows]], targets.exact[rows])
        truth = Truth.of(
            extended, primary, [[int(extended_node[n]) for n in further] for further in also_acceptable]
        )
        return cls(catalog, rows, truth, _count_per_node(extended, train_counts))

    def score(
        self, score: ScoreFn, label: str, progress: Progress, probabilistic: bool = True
    ) -> MethodResult:
        """Score every product with one method; `probabilistic` as in `summarize`."""
        with progress(label, len(self.rows)) as advance:
            predictions = collect(score, self.products, self.rows, self.truth, advance)
        matched = self.truth.match(predictions.best)
        top_hit = np.logical_or.reduce(self.truth.hits(predictions.top), axis=1)
        return MethodResult(
            predictions, matched, summarize(predictions, matched, top_hit, self._support, probabilistic)
        )

    @property
    def _support(self) -> np.ndarray | None:
        """(M,) training products of each label; of a branch that is not assignable, all below it."""
        if self.train is None:
            return None
        tree = self.truth.taxonomy
        return np.where(tree.terminal_of >= 0, self.train, subtree_sums(tree, self.train))

    def count(self, catalog: Catalog, tree: Taxonomy, is_training: np.ndarray | None) -> RowCounts:
        """Count the rows by their use.

        Args:
            catalog: The catalog.
            tree: The tree of the classifier.
            is_training: (n,) bool: rows that the classifier was trained on; None if unknown.
        """
        extended, node, is_given = self.truth.taxonomy, self.truth.node, self.truth.node >= 0
        in_tree = np.array([locate(n, tree) is not None for n in extended.nodes])
        reachable = in_tree & (_terminals_in(extended, tree) >= 0)
        branch_known = in_tree & (extended.span[:, 1] > extended.span[:, 0])
        possible = (np.where(self.truth.exact, reachable[node], branch_known[node]) & is_given).any(1)
        support = self._support
        trained = None if support is None else ((support[node] > 0) & is_given).any(1)
        return RowCounts(
            total=len(catalog),
            evaluated=len(self.rows),
            unlabelled=int(((catalog.targets().node < 0) & ~catalog.fatal).sum()),
            faulty=int(catalog.fatal.sum()),
            branch=int((~self.truth.exact[:, 0]).sum()),
            several=int((is_given.sum(1) > 1).sum()),
            outside=int((~possible).sum()),
            unseen=None if trained is None else int((~trained).sum()),
            trained_on=None if is_training is None else int(is_training[self.rows].sum()),
            ceiling=float((possible if trained is None else possible & trained).mean()),
        )


def _also_acceptable(catalog: Catalog, row: int, primary: int) -> list[int]:
    """Acceptable nodes other than the primary one."""
    nodes = (catalog.taxonomy.find(path) for path in catalog[row].categories[1:])
    return [n for n in dict.fromkeys(nodes) if n is not None and n != primary]


def _terminals_in(extended: Taxonomy, tree: Taxonomy) -> np.ndarray:
    """(M,) terminal of each node of the extended tree in the classifier's tree, or -1."""
    nodes = [locate(n, tree) for n in extended.nodes]
    return np.array([-1 if p is None else tree.terminal_of[p] for p in nodes])


def _count_per_node(tree: Taxonomy, counts: Mapping[CategoryPath, int] | None) -> np.ndarray | None:
    if counts is None:
        return None
    train = np.zeros(len(tree), dtype=np.int64)
    for path, count in counts.items():
        node = tree.find(path)
        if node is not None:
            train[node] += count
    return train
