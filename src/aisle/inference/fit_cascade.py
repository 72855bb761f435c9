"""Chooses a cascade's thresholds on labelled rows that no stage has seen.

Candidates are shares of products that are classified before the last stage; every earlier stage classifies
the same share of what reaches it. From the smallest share up, each is accepted while the upper limit of a
paired interval for the accuracy lost to the last model alone is at most the allowed points; at the first
that is not, the search ends (fixed-sequence testing: Learn then Test, arXiv 2110.01052). The guarantee is
fitted for the chosen cascade on the same rows, so its alpha is divided by the number of candidates
(Bonferroni).
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.data.splits import assign
from aisle.errors import AisleError
from aisle.guarantee import Policy, Sample, Settings, fit
from aisle.inference.cascade import Cascade
from aisle.inference.holdout import MOST_POINTS, Cost, HeldOutRows, cost_of, held_out
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Scores

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CALIBRATION_SHARE = 0.3  # of the held-out rows; thresholds, which carry the guarantee, get the others


class CascadeError(AisleError):
    """A cascade cannot be made of these models and rows."""


class HeldOutScores(NamedTuple):
    """What the stages say of held-out rows: scores, and milliseconds of processor time a product."""

    held: HeldOutRows
    scores: tuple[Scores, ...]
    milliseconds: tuple[float, ...]

    @property
    def before(self) -> np.ndarray:
        """(n,) bool: rows that the full model gets right."""
        return self.held.right(self.scores[-1])

    def thresholds(self, share: float) -> tuple[float, ...]:
        """With which so many are answered before the last stage, each stage passing on the same share."""
        on = (1 - share) ** (1 / (len(self.scores) - 1))
        found, here = [], np.ones(len(self.held), bool)
        for scores in self.scores[:-1]:
            sure = scores.logp.max(1)
            found.append(float(np.quantile(sure[here], on)) if here.any() else np.inf)
            here &= sure < found[-1]
        return tuple(found)

    def stage(self, thresholds: Sequence[float]) -> np.ndarray:
        """(n,) which stage answers each row of a cascade with these thresholds."""
        sure = [scores.logp.max(1) >= least for scores, least in zip(self.scores, thresholds, strict=False)]
        return np.argmax([*sure, np.ones(len(self.held), bool)], axis=0)

    def mixed(self, thresholds: Sequence[float]) -> Scores:
        """As a cascade with these thresholds answers."""
        stage = self.stage(thresholds)
        said = self.scores[0].logp.copy()
        for i, scores in enumerate(self.scores):
            said[stage == i] = scores.logp[stage == i]
        return Scores(self.scores[0].taxonomy, said)


def fit_cascade(
    models: Sequence[Any],
    names: Sequence[str],
    catalog: Catalog,
    settings: Settings,
    most: float = MOST_POINTS,
    progress: Progress = SILENT,
) -> Cascade:
    """The cascade of models, cheapest first, that asks the last one as little as `most` points of accuracy
    allow, with a promise of its own.

    Raises:
        CascadeError: no labelled row that none has seen, or no share can be shown to cost so little.
        BundleError: two of them have different category trees.
    """
    cheap, full = models[0], models[-1]
    never = (np.inf,) * (len(models) - 1)
    empty = Cascade(tuple(models), never, Policy.uncalibrated(full.taxonomy))
    settings.check(full.taxonomy)
    held = held_out(empty, catalog)
    if not len(held):
        raise CascadeError("no row here is labelled and unseen by the models: name a file of such rows")
    judged = _judge(models, held, progress)
    thresholds, cost = choose(judged, most)
    policy = _promise(judged, thresholds, settings, cheap)
    stage = judged.stage(thresholds)
    shares = [float((stage == i).mean()) for i in range(len(models))]
    reached = [float((stage >= i).mean()) for i in range(len(models))]
    right = held.right(judged.mixed(thresholds)), *(held.right(scores) for scores in judged.scores)
    found = {
        "stages": [
            {"name": name, "share": share, "milliseconds": milliseconds}
            for name, share, milliseconds in zip(names, shares, judged.milliseconds, strict=True)
        ],
        "cost": cost._asdict(),
        "accuracy": dict(zip(("together", *names), (float(one.mean()) for one in right), strict=True)),
        "milliseconds": float(np.dot(reached, judged.milliseconds)),
    }
    return Cascade(tuple(models), thresholds, policy, results={"cascade": found})


def choose(judged: HeldOutScores, most: float) -> tuple[tuple[float, ...], Cost]:
    """The thresholds that let as many be answered before the last stage as can be shown to cost at most so
    many points, and what they cost.

    Raises:
        CascadeError: not even the smallest share can be.
    """
    before = judged.before
    chosen: tuple[tuple[float, ...], Cost] | None = None
    cost = cost_of(before, before)
    for share in SHARES:
        thresholds = judged.thresholds(share)
        cost = cost_of(before, judged.held.right(judged.mixed(thresholds)))
        if cost.high > most:
            break
        chosen = thresholds, cost
    if chosen is None:
        raise CascadeError(
            f"answering the surest {SHARES[0]:.0%} cheaply costs {cost}: more than {most:g} cannot be ruled "
            "out. Name a file of more labelled rows, or allow more with --max-loss"
        )
    return chosen


def _judge(models: Sequence[Any], held: HeldOutRows, progress: Progress) -> HeldOutScores:
    said, spent = [], []
    with progress("judging the stages", len(models) * len(held)) as advance:
        for model in models:
            parts, start = [], time.process_time()
            for part in model.score_batches(held.catalog):
                parts.append(part.scores.logp)
                advance(len(parts[-1]))
            said.append(Scores(model.taxonomy, np.concatenate(parts)))
            spent.append(1000 * (time.process_time() - start) / len(held))
    return HeldOutScores(held, tuple(said), tuple(spent))


def _promise(judged: HeldOutScores, thresholds: Sequence[float], settings: Settings, cheap: Any) -> Policy:
    held, scores = judged.held, judged.mixed(thresholds)
    shares = np.array([CALIBRATION_SHARE, 1 - CALIBRATION_SHARE])
    part = assign(held.targets.node, held.groups, shares, 0)
    samples = []
    for k in range(2):
        some = held.take(np.flatnonzero(part == k))
        nearest = cheap.nearest(some.catalog) if len(some) else None
        samples.append(Sample(scores[part == k], some.targets, some.groups, nearest))
    stricter = dataclasses.replace(settings, alpha=settings.alpha / len(SHARES))
    return fit(
        *samples,
        precision=stricter.precision,
        alpha=stricter.alpha,
        never=stricter.never,
        costs=stricter.costs,
        branch_precision=stricter.branch_precision,
        level_precision=stricter.level_precision,
        prefer=stricter.prefer,
    )
