"""Metrics by class frequency: how many training products a label had."""

from typing import NamedTuple

import numpy as np

from aisle.metrics.flat import f1_scores
from aisle.metrics.truth import MatchedPredictions

EDGES = (0, 1, 4, 11, 31)


class Band(NamedTuple):
    """Metrics of the labels with `low` to `high` training products.

    Attributes:
        low: fewest training products.
        high: most training products; None for no limit.
        rows: (n,) the products with such a label.
        classes: number of labels.
        accuracy: share of correct predictions among `rows`.
        macro_f1: mean F1 of the labels; false positives of all products count.
    """

    low: int
    high: int | None
    rows: np.ndarray
    classes: int
    accuracy: float
    macro_f1: float

    @property
    def name(self) -> str:
        """The band as text: `0`, `1–3`, …, `31+`."""
        if self.high is None:
            return f"{self.low}+"
        return f"{self.low}–{self.high}" if self.high > self.low else str(self.low)


def by_frequency(matched: MatchedPredictions, train_count: np.ndarray) -> list[Band]:
    """Accuracy and macro-F1 by class frequency; bands without products are left out.

    Args:
        matched: the predictions.
        train_count: (M,) training products of each node.
    """
    overall = f1_scores(matched.node, matched.answer)
    label_band = np.searchsorted(EDGES, train_count[overall.labels], side="right")
    row_band = np.searchsorted(EDGES, train_count[matched.node], side="right")
    bands = []
    for number, low in enumerate(EDGES, start=1):
        rows = np.flatnonzero(row_band == number)
        if not len(rows):
            continue
        high = EDGES[number] - 1 if number < len(EDGES) else None
        in_band = (label_band == number) & (overall.support > 0)
        accuracy, f1 = matched.right[rows].mean(), overall.f1[in_band].mean()
        bands.append(Band(low, high, rows, int(in_band.sum()), float(accuracy), float(f1)))
    return bands
