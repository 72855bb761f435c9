"""Another promise for a model that is trained already: from labelled rows it has not seen."""

from typing import NamedTuple

import numpy as np

from aisle.catalog import Catalog
from aisle.catalog.splits import assign
from aisle.decision import OUTSIDE, Sample, Settings, fit
from aisle.errors import CatalogError
from aisle.inference.predictor import Predictor
from aisle.taxonomy import Scores, Targets, Taxonomy

CALIBRATION_SHARE = 0.3  # of the rows; thresholds, which carry the guarantee, get the others


class Recalibrated(NamedTuple):
    """The predictor with its new policy, and what became of the catalogue's rows.

    calibration, thresholds: rows each was fitted on. seen: rows left out because training saw them, or a
    near-duplicate of them. unlabelled: rows left out because they say nothing.
    """

    predictor: Predictor
    calibration: int
    thresholds: int
    seen: int
    unlabelled: int


def recalibrate(predictor: Predictor, catalog: Catalog, settings: Settings, seed: int = 0) -> Recalibrated:
    """Fit a policy on two disjoint parts of the rows that training did not see.

    Raises:
        CatalogError: no labelled row that training did not see.
        TaxonomyError: a setting names an id that is not in the tree.
    """
    settings.check(predictor.taxonomy)
    targets, groups = targets_in(predictor.taxonomy, catalog), catalog.groups()
    seen = np.isin(groups, groups[predictor.seen(catalog)])
    known = targets.node != -1
    rows = np.flatnonzero(known & ~seen)
    if not len(rows):
        what = "was seen in training" if (known & seen).any() else "has a category"
        every = "every labelled row" if (known & seen).any() else "no row"
        raise CatalogError(f"{every} {what}: a promise needs labelled rows that the model has not seen")
    part = assign(
        targets.node[rows], groups[rows], np.array([CALIBRATION_SHARE, 1 - CALIBRATION_SHARE]), seed
    )
    samples = [_sample(predictor, catalog, targets, groups, rows[part == k]) for k in range(2)]
    policy = fit(
        *samples,
        precision=settings.precision,
        delta=settings.delta,
        never=settings.never,
        costs=settings.costs,
        branch_precision=settings.branch_precision,
        level_precision=settings.level_precision,
    )
    return Recalibrated(
        predictor.with_policy(policy),
        *(int((part == k).sum()) for k in range(2)),
        seen=int((known & seen).sum()),
        unlabelled=int((~known).sum()),
    )


def _sample(
    predictor: Predictor, catalog: Catalog, targets: Targets, groups: np.ndarray, rows: np.ndarray
) -> Sample:
    some = catalog.take(rows)
    scores: Scores = predictor.score(some)
    return Sample(
        scores, Targets(targets.node[rows], targets.exact[rows]), groups[rows], predictor.nearest(some)
    )


def targets_in(taxonomy: Taxonomy, catalog: Catalog) -> Targets:
    """Where a catalogue's rows belong in a model's tree, which may be another than their own.

    A label below the end of the tree becomes the deepest node above it, exact, so that no full path is
    right; one that has nothing above it in the tree is OUTSIDE.
    """
    given = catalog.targets()
    node, exact = np.full(len(given.node), -1), given.exact.copy()
    for own in np.unique(given.node[given.node >= 0]):
        rows = given.node == own
        label = catalog.taxonomy.nodes[own]
        found = taxonomy.find(label.path)
        found = taxonomy.find(label.id) if found is None else found
        if found is not None:
            node[rows] = found
            exact[rows] &= taxonomy.terminal_of[found] >= 0
            continue
        above = [taxonomy.find(label.path[:k]) for k in range(len(label.path) - 1, 0, -1)]
        node[rows] = next((a for a in above if a is not None), OUTSIDE)
        exact[rows] = True
    return Targets(node, exact)
