"""Fit a guarantee: calibrate the confidences, then test decision rules on labelled rows.

`fit` takes two disjoint parts that training has not seen: the first calibrates, the second tests (hold-out).
`cross_fit` takes out-of-fold scores of the training rows: each fold is calibrated by the other folds, and all
rows test.

The guarantee of one operating point: over the draw of the test rows, with probability at least 1 - alpha, at
least `precision` of future products decided `accept` have the right full path, and at least `precision` of
those decided `partial` lie in the branch named. With costs: the average cost of these decisions is at most
1 - precision. Near-duplicates count as the number of independent rows they are worth. For `cross_fit` this
assumes that the fold models' scores stand in for the final model's (docs/guarantee.md).

Why it holds: the candidates and their order depend on confidences alone, never on the labels that test them
(Learn then Test, arXiv 2110.01052, fixed-sequence testing); each test is exact for independent rows; three
searches share alpha. A guarantee for one top category is tested at alpha on its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from aisle.guarantee.calibration import Calibration
from aisle.guarantee.knn_calibration import KnnCalibration
from aisle.guarantee.label_gain import label_gain
from aisle.guarantee.nearest import Nearest
from aisle.guarantee.ood import OodDetector
from aisle.guarantee.path_confidence import Descent, descend, judge, margins
from aisle.guarantee.policy import Policy
from aisle.guarantee.rule import CURVE, Demand
from aisle.guarantee.settings import PolicyError, Settings
from aisle.guarantee.threshold_search import Rows, Search
from aisle.taxonomy import Scores, Targets, Taxonomy


class Sample(NamedTuple):
    """B labelled rows.

    Attributes:
        scores: Raw (uncalibrated) log-probabilities over one tree.
        targets: Where the rows belong.
        groups: (B,) what near-duplicates share; None: every row is its own group.
        nearest: The most similar training products (`NeighborIndex.query`).
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
    """Fit a policy on two disjoint parts that the model was not trained on (hold-out).

    Rows with node -1 have no label and are left out. Node OUTSIDE says that the product belongs nowhere in
    the tree, so that every decision is wrong. A label below the tree's end is given as the deepest node above
    it, exact: a full path is wrong then.

    Args:
        calibration: A Sample, or a plain tuple that begins alike: raw scores and targets.
        thresholds: The same for the rows that test. No row of one part, nor a near-duplicate of it, may be in
            the other or in training.
        precision: As the other arguments, see `Settings`.
        alpha: Probability that the guarantee does not hold.
        prefer: `depth` or `coverage`.
        never: Ids at or below which nothing is decided.
        costs: By id, what a mistake costs.
        branch_precision: By id.
        level_precision: By level, 1 is the top.

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
        raise PolicyError("nearest is given for one part only: give it for both, or for neither")
    settings.check(taxonomy)
    policy = _calibrated(settings, first)
    scores = policy.calibrate(second.scores)
    rows = Rows.of(
        taxonomy, policy.descend(second.scores, second.nearest), second.targets,
        _codes(second.groups, len(second.scores)), policy.is_ood(scores, second.nearest),
    )  # fmt: skip
    return _with_curve(policy, taxonomy, rows, len(first.scores) + len(second.scores))


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
    held = policy.is_ood(policy.calibrate(whole.scores), whole.nearest)
    parts: list[Descent] = []
    order: list[np.ndarray] = []
    for number in np.unique(fold):
        theirs, mine = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        other = _calibrated(settings, whole.select(theirs), ood=False)
        own = whole.select(mine)
        parts.append(other.descend(own.scores, own.nearest))
        order.append(mine)
    back = np.argsort(np.concatenate(order)) if order else np.zeros(0, np.int64)
    descent = (
        Descent(*(np.concatenate(columns)[back] for columns in zip(*parts, strict=True)))
        if parts
        else descend(whole.scores)
    )
    rows = Rows.of(taxonomy, descent, whole.targets, _codes(whole.groups, len(whole.scores)), held)
    return _with_curve(replace(policy, method="cross-fit"), taxonomy, rows, len(rows))


def _calibrated(settings: Settings, sample: Sample, ood: bool = True) -> Policy:
    """Calibration, neighbors and out-of-distribution threshold of a sample; no curve yet."""
    calibration = Calibration.fit(sample.scores, sample.targets)
    scores = calibration.apply(sample.scores)
    return Policy(
        settings,
        calibration,
        ood=_ood(scores, sample) if ood else None,
        knn_calibration=_knn_calibration(scores, sample),
    )


def _with_curve(policy: Policy, taxonomy: Taxonomy, rows: Rows, labelled: int) -> Policy:
    """The policy with a rule for each precision of the curve, tested on these rows.

    labelled: rows that were used in all.
    """
    curve, gain = [], None
    for precision in sorted({*CURVE, policy.settings.precision}, reverse=True):
        asked = replace(policy.settings, precision=precision)
        demand = Demand.of(asked, taxonomy)
        curve.append(Search(demand, taxonomy, rows, asked.alpha).run())
        if precision == policy.settings.precision:
            gain = label_gain(demand, taxonomy, rows, asked.alpha, curve[-1], labelled)
    known = frozenset(node.id for node in taxonomy.nodes)
    return replace(policy, curve=tuple(curve), known=known, label_gain=gain)


def _ood(calibrated: Scores, sample: Sample) -> OodDetector | None:
    """The out-of-distribution detector, fitted on rows that belong in the tree; None without neighbors."""
    if sample.nearest is None:
        return None
    belongs = np.flatnonzero(sample.targets.node >= 0)
    return OodDetector.fit(calibrated[belongs], sample.targets.node[belongs], sample.nearest.take(belongs))


def _knn_calibration(calibrated: Scores, sample: Sample) -> KnnCalibration | None:
    """The recalibration of path confidences by the votes of neighbors; None without rows."""
    if not len(sample.scores):
        return None
    taxonomy, descent = calibrated.taxonomy, descend(calibrated)
    truth, margin = judge(taxonomy, descent, sample.targets), margins(sample.scores, descent)
    return KnnCalibration.fit(taxonomy, descent, margin, truth, sample.nearest)


def _codes(groups: np.ndarray | None, rows: int) -> np.ndarray:
    """(B,) each row's group as a number from 0; every row its own when nothing ties any together."""
    return np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
