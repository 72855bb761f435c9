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
from aisle.guarantee.path_confidence import descend, judge
from aisle.guarantee.policy import Policy
from aisle.guarantee.settings import PolicyError, Settings
from aisle.guarantee.threshold_search import Part, Search
from aisle.taxonomy import Scores, Targets


class Sample(NamedTuple):
    """Labelled rows: raw scores and targets, and where there are any:

    groups: (B,) what ties near-duplicates together. nearest: what the products learned
    from say of them (`Neighbours.ask`).
    """

    scores: Scores
    targets: Targets
    groups: np.ndarray | None = None
    nearest: Nearest | None = None


Labelled = tuple[Any, ...]  # a Sample, or the same as a plain tuple


def fit(
    calibration: Labelled,
    thresholds: Labelled,
    *,
    precision: float = 0.95,
    delta: float = 0.05,
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
        delta,
        tuple(never),
        dict(costs or {}),
        dict(branch_precision or {}),
        dict(level_precision or {}),
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
    groups = [_codes(sample.groups, len(sample.scores)) for sample in (first, second)]
    weight = 1.0 / np.bincount(groups[0])[groups[0]] if len(groups[0]) else None
    calibrated = Calibration.fit(first.scores, first.targets, weight)
    mended = [calibrated.apply(sample.scores) for sample in (first, second)]
    novelty = _novelty(mended[0], first)
    agreement = _agreement(mended[0], first, weight)
    policy = Policy(settings, calibrated, novelty=novelty, agreement=agreement)
    parts = [
        Part.of(
            taxonomy, policy.descend(scores, sample.nearest), sample.targets, codes,
            policy.strange(scores, sample.nearest),
        )
        for scores, sample, codes in zip(mended, (first, second), groups, strict=True)
    ]  # fmt: skip
    search = Search(settings, taxonomy, parts[0], parts[1])
    search.run()
    known = frozenset(node.id for node in taxonomy.nodes)
    return replace(policy, rules=tuple(search.rules), promises=tuple(search.promises), known=known)


def _novelty(calibrated: Scores, sample: Sample) -> Novelty | None:
    """What is usual among the products that do belong, where there are neighbours."""
    if sample.nearest is None:
        return None
    belongs = np.flatnonzero(sample.targets.node >= 0)
    return Novelty.fit(calibrated[belongs], sample.nearest.take(belongs))


def _agreement(calibrated: Scores, sample: Sample, weight: np.ndarray | None) -> Agreement | None:
    """How much surer neighbours who agree make a path, where there are neighbours."""
    if sample.nearest is None or weight is None:
        return None
    taxonomy, descent = calibrated.taxonomy, descend(calibrated)
    truth = judge(taxonomy, descent, sample.targets)
    return Agreement.fit(taxonomy, descent, truth, sample.nearest, weight)


def _codes(groups: np.ndarray | None, rows: int) -> np.ndarray:
    """(B,) each row's group as a number from 0; every row its own when nothing ties any together."""
    return np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
