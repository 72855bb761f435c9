"""One catalog's products and what is true about them: the same questions to every method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aisle.data import Catalog, Product
from aisle.errors import AisleError
from aisle.evaluation.branches import below
from aisle.evaluation.collect import ScoreFn, TopPredictions, collect
from aisle.evaluation.scores import RowCounts, Summary
from aisle.evaluation.summary import confidence, summarize
from aisle.evaluation.trees import locate, widen
from aisle.metrics import MatchedPredictions, Truth
from aisle.progress import Progress
from aisle.taxonomy import CategoryPath, Node, Targets, Taxonomy


@dataclass(frozen=True)
class MethodResult:
    """One method's answers, judged."""

    answers: TopPredictions
    judged: MatchedPredictions
    summary: Summary

    @property
    def sure(self) -> np.ndarray:
        """(B,) its confidence in what is judged."""
        return confidence(self.answers, self.judged)

    @property
    def pairs(self) -> np.ndarray:
        """(B, 2) true and predicted label."""
        return np.stack([self.judged.node, self.judged.answer], 1)

    @property
    def top_right(self) -> np.ndarray:
        """(B,) right at the top level."""
        return self.judged.shared >= 1


@dataclass(frozen=True)
class EvalSet:
    """What every method is asked: the products at `rows`, what is `truth` about them, and the training
    products (M,) of each node of the tree they are judged in."""

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
        """Locate the labels of a catalog in the classifier's `tree`, widened by what it lacks.

        Raises:
            AisleError: no product carries a label.
        """
        targets = catalog.targets()
        rows = np.flatnonzero((targets.node >= 0) & ~catalog.fatal)
        if not len(rows):
            raise AisleError(
                f"none of the {len(catalog):,} products carries a label to judge by: "
                "name the column that holds categories"
            )
        own = catalog.taxonomy
        further = [_further(catalog, int(i), int(targets.node[i])) for i in rows]
        named = {int(n) for n in targets.node[rows]}.union(*further)
        others: list[Node] = [own.nodes[n] for n in sorted(named)]
        if baseline is not None:
            others += baseline.taxonomy.nodes
        wide = widen(tree, others)
        moved = np.full(len(own), -1, dtype=np.int64)
        for n in named:
            place = locate(own.nodes[n], wide)
            assert place is not None, own.nodes[n]
            moved[n] = place
        primary = Targets(moved[targets.node[rows]], targets.exact[rows])
        truth = Truth.of(wide, primary, [[int(moved[n]) for n in more] for more in further])
        return cls(catalog, rows, truth, _direct(wide, train_counts))

    def ask(self, score: ScoreFn, label: str, progress: Progress, probable: bool = True) -> MethodResult:
        """Put every product to one method and judge its answers; `probable` as in `summarize`."""
        with progress(label, len(self.rows)) as advance:
            answers = collect(score, self.products, self.rows, self.truth, advance)
        judged = self.truth.judge(answers.best)
        hit = np.logical_or.reduce(self.truth.hits(answers.top), axis=1)
        return MethodResult(answers, judged, summarize(answers, judged, hit, self._support, probable))

    @property
    def _support(self) -> np.ndarray | None:
        """(M,) training products of each label; of a branch that is no place of its own, all below it."""
        if self.train is None:
            return None
        tree = self.truth.taxonomy
        return np.where(tree.terminal_of >= 0, self.train, below(tree, self.train))

    def count(self, catalog: Catalog, tree: Taxonomy, seen: np.ndarray | None) -> RowCounts:
        """What became of the rows. tree: the classifier's own. seen: (n,) bool, rows it was trained on."""
        wide, node, used = self.truth.taxonomy, self.truth.node, self.truth.node >= 0
        known = np.array([locate(n, tree) is not None for n in wide.nodes])
        held = known & (_answerable(wide, tree) >= 0)
        branch_known = known & (wide.span[:, 1] > wide.span[:, 0])
        within = (np.where(self.truth.exact, held[node], branch_known[node]) & used).any(1)
        support = self._support
        met = None if support is None else ((support[node] > 0) & used).any(1)
        return RowCounts(
            total=len(catalog),
            judged=len(self.rows),
            unlabelled=int(((catalog.targets().node < 0) & ~catalog.fatal).sum()),
            faulty=int(catalog.fatal.sum()),
            branch=int((~self.truth.exact[:, 0]).sum()),
            several=int((used.sum(1) > 1).sum()),
            outside=int((~within).sum()),
            unseen=None if met is None else int((~met).sum()),
            trained_on=None if seen is None else int(seen[self.rows].sum()),
            ceiling=float((within if met is None else within & met).mean()),
        )


def _further(catalog: Catalog, row: int, primary: int) -> list[int]:
    """Acceptable places besides the primary one."""
    found = (catalog.taxonomy.find(path) for path in catalog[row].categories[1:])
    return [n for n in dict.fromkeys(found) if n is not None and n != primary]


def _answerable(wide: Taxonomy, tree: Taxonomy) -> np.ndarray:
    """(M,) for each node of the wide tree its terminal in the classifier's own tree, or -1."""
    place = [locate(n, tree) for n in wide.nodes]
    return np.array([-1 if p is None else tree.terminal_of[p] for p in place])


def _direct(tree: Taxonomy, counts: Mapping[CategoryPath, int] | None) -> np.ndarray | None:
    if counts is None:
        return None
    train = np.zeros(len(tree), dtype=np.int64)
    for path, count in counts.items():
        node = tree.find(path)
        if node is not None:
            train[node] += count
    return train
