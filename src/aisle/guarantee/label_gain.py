"""What more labelled rows would change: the rules are searched again as if they had been seen.

Further rows are drawn, with replacement, from those there are, near-duplicates together, and added to them;
the search is repeated, and the mean share decided is the estimate. That tells what a sharper test is worth.
What the model itself learns from more rows is not counted. The rows must be drawn like the products to come:
at random.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from aisle.guarantee.path_confidence import Descent
from aisle.guarantee.rule import Demand, OperatingPoint
from aisle.guarantee.threshold_search import Rows, Search
from aisle.taxonomy import Taxonomy

DRAWS = 5
ROWS = 20_000  # with more, the estimate would take longer than it is worth
LABELS = (200, 500, 1000, 5000)  # numbers of further labels that are tried
RANGE = 0.02, 2.0  # times the labelled rows: fewer change nothing, of more these rows say too little
PAYS = 0.01  # share of products decided in addition


class LabelGain(NamedTuple):
    """What more labels would change at one precision.

    Attributes:
        precision: Of the point.
        rows: Labelled rows so far.
        labels: Further ones: the smallest number that pays, else the largest that was tried.
        decided: Share of products decided automatically now.
        expected: The same with these labels.
        tried: Each number of further labels that was tried, ascending, and the share expected with it.
    """

    precision: float
    rows: int
    labels: int
    decided: float
    expected: float
    tried: tuple[tuple[int, float], ...] = ()

    @property
    def points(self) -> float:
        """Percentage points gained."""
        return 100 * (self.expected - self.decided)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LabelGain":
        """Read back what `_asdict` wrote, through JSON."""
        tried = tuple((int(labels), float(share)) for labels, share in data.get("tried", ()))
        return cls(**{**data, "tried": tried})

    def with_labels(self, labels: int) -> "LabelGain | None":
        """The same for another number of further labels, interpolated; None beyond those tried."""
        numbers, shares = zip((0, self.decided), *self.tried, strict=True)
        if not 0 <= labels <= numbers[-1]:
            return None
        return self._replace(labels=labels, expected=float(np.interp(labels, numbers, shares)))


def label_gain(
    demand: Demand, taxonomy: Taxonomy, rows: Rows, alpha: float, point: OperatingPoint, labelled: int
) -> LabelGain | None:
    """Estimate what `LABELS` more labelled rows would decide.

    Args:
        demand: What is asked at one precision.
        taxonomy: The tree.
        rows: Rows that rules are tested on.
        alpha: Probability that the guarantee does not hold.
        point: What was found.
        labelled: Labelled rows in all; the rows that test are a share of these.

    Returns:
        For the smallest number of labels that decides at least `PAYS` more products, else the largest that
        was tried. None where none of the numbers is within `RANGE`, or there are more than `ROWS` rows.
    """
    if not 0 < len(rows) <= ROWS:
        return None
    tried, expected, chance = [], point.decided, np.random.default_rng(0)
    for labels in LABELS:
        if not RANGE[0] * labelled <= labels <= RANGE[1] * labelled:
            continue
        draws = (_with_drawn(rows, labels / labelled, chance) for _ in range(DRAWS))
        shares = [Search(demand, taxonomy, drawn, alpha).run().decided for drawn in draws]
        expected = max(expected, float(np.mean(shares)))
        tried.append((labels, expected))
    if not tried:
        return None
    labels, expected = next((one for one in tried if one[1] - point.decided >= PAYS), tried[-1])
    return LabelGain(point.precision, labelled, labels, point.decided, expected, tuple(tried))


def _with_drawn(rows: Rows, factor: float, chance: np.random.Generator) -> Rows:
    """The rows, and `factor` times as many groups drawn from them with replacement, each its own group."""
    _, group, sizes = np.unique(rows.group, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(group, kind="stable"), sizes.cumsum()[:-1])
    chosen = chance.integers(len(sizes), size=round(factor * len(sizes)))
    some = np.concatenate([np.arange(len(rows)), *(members[number] for number in chosen)])
    parts = {name: getattr(rows, name)[some] for name in rows._fields if name not in ("descent", "group")}
    number = np.append(group, len(sizes) + np.repeat(np.arange(len(chosen)), sizes[chosen]))
    return Rows(descent=Descent(*(part[some] for part in rows.descent)), group=number, **parts)
