"""Promised against realised precision, and what it covers: the numbers behind the report's curves."""

from typing import NamedTuple

import numpy as np

from aisle.decision.descent import Descent, judge
from aisle.decision.guarantee import clopper_pearson
from aisle.decision.policy import Policy
from aisle.taxonomy import Scores, Targets

POINTS = 200


class Curve(NamedTuple):
    """How precision and coverage trade at one level, were its limit moved; (P,) each, strictest first.

    level: of the tree, 1 is the top; 0 is the full path. branch: a top category's id, "" for all.
    threshold: the least calibrated probability answered. coverage: share of the rows it answers.
    precision: share of those that are right; lower, upper: its exact one-sided 95 % limits.
    """

    level: int
    branch: str
    threshold: np.ndarray
    coverage: np.ndarray
    precision: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Kept(NamedTuple):
    """What the policy itself did with these rows, for one kind of answer in one place.

    level: at which paths end, 0 for all; branch: a top category's id, "" for all. promised: the
    precision asked for there. shown: whether the policy was shown to keep it. coverage: answers of this
    kind as a share of the rows there (of all rows that the network puts into that category). precision
    is None without answers; lower, upper: exact one-sided 95 % limits. broken: upper lies below what
    was promised.
    """

    verdict: str
    level: int
    branch: str
    promised: float
    shown: bool
    rows: int
    right: int
    coverage: float
    precision: float | None
    lower: float
    upper: float

    @property
    def broken(self) -> bool:
        """The promise is not compatible with these rows."""
        return self.shown and self.upper < self.promised


class Curves(NamedTuple):
    """Everything `evaluate` shows of a promise, on labelled rows the policy was not fitted on."""

    curves: tuple[Curve, ...]
    kept: tuple[Kept, ...]


def curves(
    policy: Policy,
    scores: Scores,
    targets: Targets,
    likeness: np.ndarray | None = None,
    right: np.ndarray | None = None,
) -> Curves:
    """Judge a policy on raw scores of labelled rows.

    Rows whose label does not tell are left out, level by level. likeness: as in `Policy.predict`. right:
    (B, L) whether naming the node at each level of the best path is right, the full path at its last,
    where several places are acceptable; by `targets` alone unless given.
    """
    calibrated = policy.calibrate(scores)
    taxonomy = scores.taxonomy
    descent, stops = policy.stops(calibrated, policy.strange(calibrated, likeness))
    truth = judge(taxonomy, descent, targets)
    every, last = np.arange(len(scores)), descent.depth - 1
    told, correct = truth.branch_known.copy(), truth.branch.copy()
    told[every, last], correct[every, last] = truth.full_known, truth.full
    if right is not None:
        correct = right
    found = []
    tops = [int(t) for t in taxonomy.level(1)]
    for top in (-1, *tops):
        mine = np.ones(len(scores), dtype=bool) if top < 0 else descent.nodes[:, 0] == top
        if not mine.any():
            continue
        name = "" if top < 0 else taxonomy.nodes[top].id
        for level in range(taxonomy.depth + 1 if top < 0 else 2):
            at = last if level == 0 else np.full(len(scores), level - 1)
            rows = np.flatnonzero(mine & (descent.depth > at) & told[every, at])
            if len(rows):
                found.append(_curve(level, name, descent.confidence[rows, at[rows]], correct[rows, at[rows]]))
    return Curves(tuple(found), tuple(_kept(policy, scores, descent, stops, told, correct)))


def _curve(level: int, branch: str, confidence: np.ndarray, right: np.ndarray) -> Curve:
    order = np.argsort(-confidence, kind="stable")
    confidence, hits = confidence[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.diff(confidence, append=-1.0))  # equal confidences are answered together
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, POINTS).astype(int))]
    limits = np.array([clopper_pearson(int(hits[e]), int(e) + 1) for e in ends])
    rows = ends + 1
    return Curve(
        level, branch, confidence[ends], rows / len(confidence), hits[ends] / rows, limits[:, 0], limits[:, 1]
    )


def _kept(
    policy: Policy, scores: Scores, descent: Descent, stops: np.ndarray, told: np.ndarray, correct: np.ndarray
) -> list[Kept]:
    """Each promise against what happened; then each level at which paths end."""
    taxonomy = scores.taxonomy
    demands = policy.settings.on(taxonomy)
    every, at = np.arange(len(scores)), np.maximum(stops - 1, 0)
    node = descent.nodes[every, at]
    usable = told[every, at] | (stops == 0)
    verdict = np.where(stops == 0, "review", np.where(stops == descent.depth, "accept", "partial"))
    found = []
    for promise in policy.promises:
        top = taxonomy.find(promise.branch) if promise.branch else None
        if promise.branch and top is None:
            continue
        here = usable & ((descent.nodes[:, 0] == top) if promise.branch else True)
        rows = here & (verdict == promise.verdict) & (demands.precision[node] == promise.precision)
        rows &= (promise.level == 0) | (stops == promise.level)
        count = _count(correct[every, at], rows, here)
        found.append(
            Kept(promise.verdict, promise.level, promise.branch, promise.precision, promise.holds, *count)
        )
    whole = {(p.verdict, p.precision): p.holds for p in policy.promises if not p.branch}
    for kind in ("accept", "partial"):
        for level in range(1, taxonomy.depth + 1):
            rows = usable & (verdict == kind) & (stops == level)
            if rows.any():
                asked = float(demands.precision[node[rows]].min())
                count = _count(correct[every, at], rows, usable)
                found.append(Kept(kind, level, "", asked, whole.get((kind, asked), False), *count))
    return found


def _count(
    correct: np.ndarray, rows: np.ndarray, among: np.ndarray
) -> tuple[int, int, float, float | None, float, float]:
    """rows, right, coverage, precision, lower, upper."""
    count, right = int(rows.sum()), int(correct[rows].sum())
    share = right / count if count else None
    return count, right, count / max(int(among.sum()), 1), share, *clopper_pearson(right, count)
