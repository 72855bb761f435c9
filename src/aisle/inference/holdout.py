"""Labelled rows that a model has not seen, and the accuracy that another model loses on them."""

from typing import NamedTuple, Protocol

import numpy as np

from aisle.data import Catalog
from aisle.guarantee import Prediction
from aisle.inference.label_targets import targets_in
from aisle.metrics import Interval, paired_difference
from aisle.taxonomy import Scores, Targets, Taxonomy

MOST_POINTS = 0.5  # of accuracy that what saves work may cost, unless more is allowed
SURE = 0.95  # that it costs no more


class KnowsTrainingRows(Protocol):
    """A model that can tell the rows it was trained on."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The category tree."""
        ...

    def seen(self, catalog: Catalog, /) -> np.ndarray:
        """(n,) bool: rows it was trained on."""
        ...


class HeldOutRows(NamedTuple):
    """Labelled rows of a catalog, with their targets and groups of near-duplicates."""

    catalog: Catalog
    targets: Targets
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.targets.node)

    def take(self, rows: np.ndarray) -> "HeldOutRows":
        """Some of them."""
        targets = Targets(self.targets.node[rows], self.targets.exact[rows])
        return HeldOutRows(self.catalog.select(rows), targets, self.groups[rows])

    def right(self, scores: Scores) -> np.ndarray:
        """(n,) bool: the prediction is the label, or is in its branch if the label is a branch."""
        tree, best = scores.taxonomy, scores.best()
        end = tree.terminal_of[best]
        start, stop = tree.span[self.targets.node].T
        inside = (start <= end) & (end < stop)
        return np.where(self.targets.exact, best == self.targets.node, inside)


def unseen(model: KnowsTrainingRows, catalog: Catalog) -> tuple[np.ndarray, Targets]:
    """Labelled rows that a model did not learn from, nor from a near-duplicate: numbers and targets."""
    targets, groups = targets_in(model.taxonomy, catalog), catalog.groups()
    known = np.isin(groups, groups[model.seen(catalog)])
    rows = np.flatnonzero((targets.node >= 0) & ~known)
    return rows, Targets(targets.node[rows], targets.exact[rows])


def held_out(model: KnowsTrainingRows, catalog: Catalog) -> HeldOutRows:
    """The same with the rows themselves, one of each group of near-duplicates."""
    rows, targets = unseen(model, catalog)
    groups = catalog.groups()[rows]
    _, first = np.unique(groups, return_index=True)
    first.sort()
    return HeldOutRows(catalog.select(rows), targets, groups).take(first)


class OutOfFoldPredictions(NamedTuple):
    """Training rows, each as predicted by a model that was not trained on it.

    Attributes:
        catalog: n rows.
        predictions: n of them, in the rows' order.
        embedding: (n, D) float32, in the space of the final model's `embed`.
    """

    catalog: Catalog
    predictions: list[Prediction]
    embedding: np.ndarray


class Cost(NamedTuple):
    """Points of accuracy lost on `rows`: measured, and the limits that hold the true cost, each with 95 %."""

    rows: int
    points: float
    low: float
    high: float

    def __str__(self) -> str:
        limits = f"{self.low:+.2f} to {self.high:+.2f}"
        return f"{self.points:+.2f} points ({limits}) on {self.rows:,} held-out rows"


def cost_of(before: np.ndarray, after: np.ndarray) -> Cost:
    """before, after: (n,) bool, which rows each gets right."""
    interval: Interval = paired_difference(before, after, 2 * SURE - 1)
    return Cost(len(before), *(100 * value for value in interval))
