"""What more labelled rows would change: the rules are searched again as if they had been seen.

As many rows as there would be are drawn, with replacement, from those there are, near-duplicates together,
and the search is repeated on them: the mean share decided is the estimate (a bootstrap). That tells what a
sharper test is worth. What the model itself learns from more rows is not counted.
"""

from typing import NamedTuple

import numpy as np

from aisle.guarantee.path_confidence import Descent
from aisle.guarantee.rule import Demand, OperatingPoint
from aisle.guarantee.threshold_search import Rows, Search
from aisle.taxonomy import Taxonomy

DRAWS = 5
ROWS = 20_000  # with more, the estimate would take longer than it is worth
LABELS = (200, 1000, 5000)  # numbers of further labels that are tried
RANGE = 0.02, 2.0  # times the labelled rows: fewer change nothing, of more these rows say too little
PAYS = 0.01  # share of products decided in addition


class LabelGain(NamedTuple):
    """What more labels would change at one precision.

    precision: of the point. rows: labelled rows so far. labels: further ones. decided: share of products
    decided automatically now. expected: the same with these labels.
    """

    precision: float
    rows: int
    labels: int
    decided: float
    expected: float

    @property
    def points(self) -> float:
        """Percentage points gained."""
        return 100 * (self.expected - self.decided)


def label_gain(
    demand: Demand, taxonomy: Taxonomy, rows: Rows, alpha: float, point: OperatingPoint, labelled: int
) -> LabelGain | None:
    """The smallest of `LABELS` that decides at least `PAYS` more products, else the largest that was tried.

    Args:
        demand: What is asked at one precision.
        taxonomy: The tree.
        rows: Rows that rules are tested on.
        alpha: Probability that the guarantee does not hold.
        point: What was found.
        labelled: Labelled rows in all; the rows that test are a share of these.

    Returns:
        None where none of the numbers is within `RANGE`, or there are more than `ROWS` rows.
    """
    if not 0 < len(rows) <= ROWS:
        return None
    found, chance = None, np.random.default_rng(0)
    for labels in LABELS:
        if not RANGE[0] * labelled <= labels <= RANGE[1] * labelled:
            continue
        draws = (_drawn(rows, 1 + labels / labelled, chance) for _ in range(DRAWS))
        shares = [Search(demand, taxonomy, drawn, alpha).run().decided for drawn in draws]
        expected = max(point.decided, float(np.mean(shares)))
        found = LabelGain(point.precision, labelled, labels, point.decided, expected)
        if expected - point.decided >= PAYS:
            break
    return found


def _drawn(rows: Rows, factor: float, chance: np.random.Generator) -> Rows:
    """`factor` times as many groups of rows, drawn with replacement; each is a group of its own."""
    _, group, sizes = np.unique(rows.group, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(group, kind="stable"), sizes.cumsum()[:-1])
    chosen = chance.integers(len(sizes), size=round(factor * len(sizes)))
    some = np.concatenate([members[number] for number in chosen])
    parts = {name: getattr(rows, name)[some] for name in rows._fields if name not in ("descent", "group")}
    number = np.repeat(np.arange(len(chosen)), sizes[chosen])
    return Rows(descent=Descent(*(part[some] for part in rows.descent)), group=number, **parts)
