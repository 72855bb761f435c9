"""Fits a new policy, with its guarantee, for a trained model on labelled rows that it has not seen."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.data.splits import assign
from aisle.errors import CatalogError
from aisle.guarantee import Sample, Settings, fit
from aisle.inference.label_targets import targets_in
from aisle.taxonomy import Scores, Targets

if TYPE_CHECKING:
    from aisle.inference.base_predictor import BasePredictor

CALIBRATION_SHARE = 0.3  # of the rows; thresholds, which carry the guarantee, get the others


class Recalibrated(NamedTuple):
    """The predictor with its new policy, and the row counts.

    calibration, thresholds: rows each was fitted on. seen: rows left out because training saw them, or a
    near-duplicate of them. unlabelled: rows left out because they say nothing. ruled: rows left out because
    the model's rules act on them.
    """

    predictor: "BasePredictor"
    calibration: int
    thresholds: int
    seen: int
    unlabelled: int
    ruled: int = 0


def recalibrate(
    predictor: "BasePredictor", catalog: Catalog, settings: Settings, seed: int = 0
) -> Recalibrated:
    """Fit a policy on two disjoint parts of the rows that training did not see and no rule acts on.

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
        condition = "was seen in training" if (known & seen).any() else "has a category"
        every = "every labelled row" if (known & seen).any() else "no row"
        raise CatalogError(f"{every} {condition}: a promise needs labelled rows that the model has not seen")
    ruled = np.zeros(len(rows), bool)
    if predictor.rules is not None:
        ruled = np.array(
            [bool(prediction.rule) for prediction in predictor.predict_stream(catalog.select(rows))]
        )
        if ruled.all():
            raise CatalogError("rules act on every labelled row: the guarantee needs rows that they leave")
        rows = rows[~ruled]
    part = assign(
        targets.node[rows], groups[rows], np.array([CALIBRATION_SHARE, 1 - CALIBRATION_SHARE]), seed
    )
    samples = [_sample(predictor, catalog, targets, groups, rows[part == k]) for k in range(2)]
    policy = fit(*samples, **vars(settings))
    return Recalibrated(
        predictor.with_policy(policy),
        *(int((part == k).sum()) for k in range(2)),
        seen=int((known & seen).sum()),
        unlabelled=int((~known).sum()),
        ruled=int(ruled.sum()),
    )


def _sample(
    predictor: "BasePredictor", catalog: Catalog, targets: Targets, groups: np.ndarray, rows: np.ndarray
) -> Sample:
    sample = catalog.select(rows)
    scores: Scores = predictor.score(sample)
    return Sample(
        scores, Targets(targets.node[rows], targets.exact[rows]), groups[rows], predictor.nearest(sample)
    )
