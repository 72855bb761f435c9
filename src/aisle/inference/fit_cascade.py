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
    """The scores of all stages on held-out rows.

    Attributes:
        held: the rows.
        scores: of each stage.
        milliseconds: processor time per product of each stage.
    """

    held: HeldOutRows
    scores: tuple[Scores, ...]
    milliseconds: tuple[float, ...]

    @property
    def before(self) -> np.ndarray:
        """(n,) bool: rows that the last model classifies correctly."""
        return self.held.right(self.scores[-1])

    def thresholds(self, share: float) -> tuple[float, ...]:
        """The thresholds with which a share of the rows is classified before the last stage.

        Every stage passes on the same share of the rows that reach it.
        """
        passed_on = (1 - share) ** (1 / (len(self.scores) - 1))
        thresholds, reached = [], np.ones(len(self.held), bool)
        for scores in self.scores[:-1]:
            best = scores.logp.max(1)
            thresholds.append(float(np.quantile(best[reached], passed_on)) if reached.any() else np.inf)
            reached &= best < thresholds[-1]
        return tuple(thresholds)

    def stage(self, thresholds: Sequence[float]) -> np.ndarray:
        """(n,) the stage that classifies each row with these thresholds."""
        stages = zip(self.scores, thresholds, strict=False)
        reaches = [scores.logp.max(1) >= threshold for scores, threshold in stages]
        return np.argmax([*reaches, np.ones(len(self.held), bool)], axis=0)

    def cascaded(self, thresholds: Sequence[float]) -> Scores:
        """The scores of a cascade with these thresholds."""
        stage = self.stage(thresholds)
        logp = self.scores[0].logp.copy()
        for i, scores in enumerate(self.scores):
            logp[stage == i] = scores.logp[stage == i]
        return Scores(self.scores[0].taxonomy, logp)


def fit_cascade(
    models: Sequence[Any],
    names: Sequence[str],
    catalog: Catalog,
    settings: Settings,
    max_loss: float = MOST_POINTS,
    progress: Progress = SILENT,
) -> Cascade:
    """Choose the thresholds of a cascade, and fit its guarantee.

    Args:
        models: two or more, cheapest first.
        names: their names.
        catalog: labelled rows; those that a model was trained on are left out.
        settings: of the guarantee.
        max_loss: points of accuracy that may be lost, compared with the last model alone.
        progress: shows how many rows are scored.

    Raises:
        CascadeError: no labelled row that no model was trained on, or any share may lose more.
        BundleError: models have different category trees.
    """
    tree = models[-1].taxonomy
    settings.check(tree)
    only_last = Cascade(tuple(models), (np.inf,) * (len(models) - 1), policy=Policy.uncalibrated(tree))
    rows = held_out(only_last, catalog)
    if not len(rows):
        raise CascadeError("no row here is labelled and unseen by the models: name a file of such rows")
    scored = _score_stages(models, rows, progress)
    thresholds, cost = choose(scored, max_loss)
    policy = _fit_policy(scored, thresholds, settings, models[0])
    stage = scored.stage(thresholds)
    shares = [float((stage == i).mean()) for i in range(len(models))]
    reached = [float((stage >= i).mean()) for i in range(len(models))]
    right = rows.right(scored.cascaded(thresholds)), *(rows.right(scores) for scores in scored.scores)
    measured = {
        "stages": [
            {"name": name, "share": share, "milliseconds": milliseconds}
            for name, share, milliseconds in zip(names, shares, scored.milliseconds, strict=True)
        ],
        "cost": cost._asdict(),
        "accuracy": dict(zip(("together", *names), (float(hits.mean()) for hits in right), strict=True)),
        "milliseconds": float(np.dot(reached, scored.milliseconds)),
    }
    return Cascade(tuple(models), thresholds, policy=policy, results={"cascade": measured})


def choose(scored: HeldOutScores, max_loss: float) -> tuple[tuple[float, ...], Cost]:
    """Choose thresholds by fixed-sequence testing over `SHARES`.

    Args:
        scored: scores of all stages.
        max_loss: points of accuracy that may be lost.

    Returns:
        The thresholds, and the accuracy lost.

    Raises:
        CascadeError: the smallest share may lose more.
    """
    before = scored.before
    chosen: tuple[tuple[float, ...], Cost] | None = None
    cost = cost_of(before, before)
    for share in SHARES:
        thresholds = scored.thresholds(share)
        cost = cost_of(before, scored.held.right(scored.cascaded(thresholds)))
        if cost.high > max_loss:
            break
        chosen = thresholds, cost
    if chosen is None:
        raise CascadeError(
            f"answering the surest {SHARES[0]:.0%} cheaply costs {cost}: more than {max_loss:g} cannot be "
            "ruled out. Name a file of more labelled rows, or allow more with --max-loss"
        )
    return chosen


def _score_stages(models: Sequence[Any], held: HeldOutRows, progress: Progress) -> HeldOutScores:
    scores, milliseconds = [], []
    with progress("judging the stages", len(models) * len(held)) as advance:
        for model in models:
            parts, start = [], time.process_time()
            for part in model.score_batches(held.catalog):
                parts.append(part.scores.logp)
                advance(len(parts[-1]))
            scores.append(Scores(model.taxonomy, np.concatenate(parts)))
            milliseconds.append(1000 * (time.process_time() - start) / len(held))
    return HeldOutScores(held, tuple(scores), tuple(milliseconds))


def _fit_policy(scored: HeldOutScores, thresholds: Sequence[float], settings: Settings, first: Any) -> Policy:
    held_rows, scores = scored.held, scored.cascaded(thresholds)
    shares = np.array([CALIBRATION_SHARE, 1 - CALIBRATION_SHARE])
    part = assign(held_rows.targets.node, held_rows.groups, shares, 0)
    samples = []
    for k in range(2):
        rows = held_rows.take(np.flatnonzero(part == k))
        nearest = first.nearest(rows.catalog) if len(rows) else None
        samples.append(Sample(scores[part == k], rows.targets, rows.groups, nearest))
    stricter = dataclasses.replace(settings, alpha=settings.alpha / len(SHARES))
    return fit(*samples, **vars(stricter))
