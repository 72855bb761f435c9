"""From labelled rows to a promise: calibrate on one part, test thresholds on another.

What is promised, exactly. Let the rows of the threshold part be independent draws (one row is drawn
from each group of near-duplicates) of the products to come. For each kind of answer, with
probability at least 1 - its share of delta over that draw, the share of right answers among future
products given that answer is at least `precision` (with costs: their average cost is at most
1 - precision). The shares add up to delta, so all kinds hold together with probability 1 - delta.
A promise for one top category is made at delta on its own; those are not joint.

Why it holds. The calibration part fixes everything but one number a kind: the calibration, what
neighbours count for, the candidates for the limit, where the walk among them begins, and how much
stricter single categories are. The threshold part only tests, walking from the strict end (Learn then
Test, arXiv 2110.01052, fixed-sequence testing), each test exact. The rule tested is the climb of
Goren, Galil & El-Yaniv (arXiv 2405.11533): from the best terminal up to the first node that is sure
enough. Accepting is settled first. Whether its walk goes on depends only on the rows it accepts and
those of the step it refuses, which were refused for having too many mistakes: what is left for
`partial` is therefore as good as fresh, or worse than it, never better.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from aisle.guarantee.calibration import Calibration
from aisle.guarantee.knn_calibration import Agreement
from aisle.guarantee.nearest import Nearest
from aisle.guarantee.ood import Novelty
from aisle.guarantee.path_confidence import Descent, descend, judge
from aisle.guarantee.policy import Policy
from aisle.guarantee.rule import CURVE, Demand
from aisle.guarantee.settings import PolicyError, Settings
from aisle.guarantee.threshold_search import Rows, Search
from aisle.taxonomy import Scores, Targets, Taxonomy


class Sample(NamedTuple):
    """Labelled rows: raw scores and targets, and where there are any:

    groups: (B,) what ties near-duplicates together. nearest: what the products learned
    from say of them (`Neighbours.ask`).
    """

    scores: Scores
    targets: Targets
    groups: np.ndarray | None = None
    nearest: Nearest | None = None

    def select(self, rows: np.ndarray) -> "Sample":
        """Some of them."""
        targets = Targets(self.targets.node[rows], self.targets.exact[rows])
        groups = None if self.groups is None else self.groups[rows]
        nearest = None if self.nearest is None else self.nearest.take(rows)
        return Sample(self.scores[rows], targets, groups, nearest)


Labelled = tuple[Any, ...]  # a Sample, or the same as a plain tuple


def fit(
    calibration: Labelled,
    thresholds: Labelled,
    *,
    precision: float = 0.95,
    alpha: float = 0.05,
    prefer: str = "depth",
    never: Iterable[str] = (),
    costs: Mapping[str, float] | None = None,
    branch_precision: Mapping[str, float] | None = None,
    level_precision: Mapping[int, float] | None = None,
) -> Policy:
    """The policy that promises `precision` on as much as it can show, from two disjoint parts.

    calibration, thresholds: Samples, or plain tuples that begin alike: `(scores, targets)`; raw scores
    over one tree. No row, nor a near-duplicate of it, may be in both, or in training. With
    nearest, a path that its neighbours share is surer, and nothing is decided for products that
    probably belong nowhere in the tree. Rows with node -1 have no label and are left out;
    node OUTSIDE says that the product belongs nowhere in the tree, where every answer is wrong. A label
    below the tree's end is given as the deepest node above it, exact: a full path is wrong then.
    The other settings are those of `Settings`.

    Raises:
        PolicyError: a setting out of its range, or parts over different trees.
        TaxonomyError: an id that is not in the tree.
    """
    settings = Settings(
        precision,
        alpha,
        tuple(never),
        dict(costs or {}),
        dict(branch_precision or {}),
        dict(level_precision or {}),
        prefer,
    )
    first, second = Sample(*calibration), Sample(*thresholds)
    taxonomy = first.scores.taxonomy
    if second.scores.taxonomy != taxonomy:
        raise PolicyError(
            "the calibration and the threshold part are scored over different trees: score both anew"
        )
    if (first.nearest is None) != (second.nearest is None):
        raise PolicyError("neighbours were given for one part only: give it for both, or for neither")
    settings.check(taxonomy)
    policy = _calibrated(settings, first)
    scores = policy.calibrate(second.scores)
    rows = Rows.of(
        taxonomy, policy.descend(scores, second.nearest), second.targets,
        _codes(second.groups, len(second.scores)), policy.strange(scores, second.nearest),
    )  # fmt: skip
    return _with_curve(policy, taxonomy, rows)


def cross_fit(sample: Labelled, fold: np.ndarray, settings: Settings | None = None) -> Policy:
    """The policy of a model trained on all rows, from out-of-fold scores of these rows.

    Each fold's rows are calibrated by what the other folds teach; thresholds are tested on all of them.

    Args:
        sample: out-of-fold scores of n rows.
        fold: (n,) number of each row's fold.
        settings: what is asked.

    Raises:
        TaxonomyError: a setting names an id that is not in the tree.
    """
    settings, whole = settings or Settings(), Sample(*sample)
    taxonomy = whole.scores.taxonomy
    settings.check(taxonomy)
    policy = _calibrated(settings, whole)
    held = policy.strange(policy.calibrate(whole.scores), whole.nearest)
    parts: list[Descent] = []
    order: list[np.ndarray] = []
    for number in np.unique(fold):
        theirs, mine = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        other = _calibrated(settings, whole.select(theirs), novelty=False)
        own = whole.select(mine)
        parts.append(other.descend(other.calibrate(own.scores), own.nearest))
        order.append(mine)
    back = np.argsort(np.concatenate(order)) if order else np.zeros(0, np.int64)
    descent = (
        Descent(*(np.concatenate(columns)[back] for columns in zip(*parts, strict=True)))
        if parts
        else descend(whole.scores)
    )
    rows = Rows.of(taxonomy, descent, whole.targets, _codes(whole.groups, len(whole.scores)), held)
    return _with_curve(replace(policy, method="cross-fit"), taxonomy, rows)


def _calibrated(settings: Settings, sample: Sample, novelty: bool = True) -> Policy:
    """Calibration, neighbors and out-of-distribution threshold of a sample; no curve yet."""
    groups = _codes(sample.groups, len(sample.scores))
    weight = 1.0 / np.bincount(groups)[groups] if len(groups) else None
    calibration = Calibration.fit(sample.scores, sample.targets, weight)
    scores = calibration.apply(sample.scores)
    return Policy(
        settings,
        calibration,
        novelty=_novelty(scores, sample) if novelty else None,
        agreement=_agreement(scores, sample, weight),
    )


def _with_curve(policy: Policy, taxonomy: Taxonomy, rows: Rows) -> Policy:
    """The policy with a rule for each precision of the curve, tested on these rows."""
    curve = []
    for precision in sorted({*CURVE, policy.settings.precision}, reverse=True):
        asked = replace(policy.settings, precision=precision)
        curve.append(Search(Demand.of(asked, taxonomy), taxonomy, rows, asked.alpha).run())
    return replace(policy, curve=tuple(curve), known=frozenset(node.id for node in taxonomy.nodes))


def _novelty(calibrated: Scores, sample: Sample) -> Novelty | None:
    """What is usual among the products that do belong, where there are neighbours."""
    if sample.nearest is None:
        return None
    belongs = np.flatnonzero(sample.targets.node >= 0)
    return Novelty.fit(calibrated[belongs], sample.nearest.take(belongs))


def _agreement(calibrated: Scores, sample: Sample, weight: np.ndarray | None) -> Agreement | None:
    """How much surer neighbours who agree make a path, where there are neighbours."""
    if weight is None:
        return None
    taxonomy, descent = calibrated.taxonomy, descend(calibrated)
    truth = judge(taxonomy, descent, sample.targets)
    return Agreement.fit(taxonomy, descent, truth, sample.nearest, weight)


def _codes(groups: np.ndarray | None, rows: int) -> np.ndarray:
    """(B,) each row's group as a number from 0; every row its own when nothing ties any together."""
    return np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
