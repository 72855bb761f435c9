"""Choosing where a cascade's cheap stage hands over, on labelled rows that neither stage has seen.

Candidates are shares of products that the cheap stage would answer, its surest ones first. Walking from the
smallest share up, each is kept while the accuracy lost to the full model alone is at most so many points by
the far end of a paired interval; at the first that is not, the walk ends (fixed-sequence testing: Learn then
Test, arXiv 2110.01052). The promise is then made for the cascade as chosen; because it is made on the same
rows, its delta is divided by the number of candidates, any of which it might have been (Bonferroni).
"""

import dataclasses
import time
from typing import Any, NamedTuple

import numpy as np

from aisle.catalog import Catalog
from aisle.catalog.splits import assign
from aisle.decision import Policy, Sample, Settings, fit
from aisle.errors import AisleError
from aisle.inference.cascade import Cascade
from aisle.inference.heldout import MOST_POINTS, Cost, Held, cost_of, held_out
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Scores

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CALIBRATION_SHARE = 0.3  # of the held-out rows; thresholds, which carry the guarantee, get the others


class CascadeError(AisleError):
    """A cascade cannot be made of these models and rows."""


class Judged(NamedTuple):
    """What both stages say of held-out rows: scores, and milliseconds of processor time a product."""

    held: Held
    cheap: Scores
    full: Scores
    milliseconds: tuple[float, float]

    def mixed(self, threshold: float) -> Scores:
        """As a cascade with this threshold answers."""
        sure = self.cheap.logp.max(1) >= threshold
        return Scores(self.cheap.taxonomy, np.where(sure[:, None], self.cheap.logp, self.full.logp))


def cascade_of(
    models: tuple[Any, Any],
    names: tuple[str, str],
    catalog: Catalog,
    settings: Settings,
    most: float = MOST_POINTS,
    progress: Progress = SILENT,
) -> Cascade:
    """The cascade of a cheap and a full model that asks the full one as little as `most` points of accuracy
    allow, with a promise of its own.

    Raises:
        CascadeError: no labelled row that neither has seen, or no share can be shown to cost so little.
        BundleError: the two place products in different trees.
    """
    cheap, full = models
    empty = Cascade(cheap, full, np.inf, Policy.uncalibrated(full.taxonomy))
    settings.check(full.taxonomy)
    held = held_out(empty, catalog)
    if not len(held):
        raise CascadeError("no row here is labelled and unseen by both models: name a file of such rows")
    judged = _judge(models, held, progress)
    threshold, cost = choose(judged, most)
    policy = _promise(judged, threshold, settings, cheap)
    share = float((judged.cheap.logp.max(1) >= threshold).mean())
    right = held.right(judged.mixed(threshold)), held.right(judged.cheap), held.right(judged.full)
    found = {
        "stages": [
            {"name": names[0], "share": share, "milliseconds": judged.milliseconds[0]},
            {"name": names[1], "share": 1 - share, "milliseconds": judged.milliseconds[1]},
        ],
        "cost": cost._asdict(),
        "accuracy": dict(zip(("together", *names), (float(one.mean()) for one in right), strict=True)),
        "milliseconds": judged.milliseconds[0] + (1 - share) * judged.milliseconds[1],
    }
    return Cascade(cheap, full, threshold, policy, results={"cascade": found})


def choose(judged: Judged, most: float) -> tuple[float, Cost]:
    """The threshold that lets the cheap stage answer as many as can be shown to cost at most so many points,
    and what it costs.

    Raises:
        CascadeError: not even the smallest share can be.
    """
    sure, before = judged.cheap.logp.max(1), judged.held.right(judged.full)
    chosen: tuple[float, Cost] | None = None
    cost = cost_of(before, before)
    for share in SHARES:
        threshold = float(np.quantile(sure, 1 - share))
        cost = cost_of(before, judged.held.right(judged.mixed(threshold)))
        if cost.high > most:
            break
        chosen = threshold, cost
    if chosen is None:
        raise CascadeError(
            f"answering the surest {SHARES[0]:.0%} cheaply costs {cost}: more than {most:g} cannot be ruled "
            "out. Name a file of more labelled rows, or allow more with --cost"
        )
    return chosen


def _judge(models: tuple[Any, Any], held: Held, progress: Progress) -> Judged:
    said, spent = [], []
    with progress("judging the stages", 2 * len(held)) as advance:
        for model in models:
            parts, start = [], time.process_time()
            for part in model.score_batches(held.catalog):
                parts.append(part.scores.logp)
                advance(len(parts[-1]))
            said.append(Scores(model.taxonomy, np.concatenate(parts)))
            spent.append(1000 * (time.process_time() - start) / len(held))
    return Judged(held, said[0], said[1], (spent[0], spent[1]))


def _promise(judged: Judged, threshold: float, settings: Settings, cheap: Any) -> Policy:
    held, scores = judged.held, judged.mixed(threshold)
    shares = np.array([CALIBRATION_SHARE, 1 - CALIBRATION_SHARE])
    part = assign(held.targets.node, held.groups, shares, 0)
    samples = []
    for k in range(2):
        some = held.take(np.flatnonzero(part == k))
        nearest = cheap.nearest(some.catalog) if len(some) else None
        samples.append(Sample(scores[part == k], some.targets, some.groups, nearest))
    stricter = dataclasses.replace(settings, delta=settings.delta / len(SHARES))
    return fit(
        *samples,
        precision=stricter.precision,
        delta=stricter.delta,
        never=stricter.never,
        costs=stricter.costs,
        branch_precision=stricter.branch_precision,
        level_precision=stricter.level_precision,
    )
