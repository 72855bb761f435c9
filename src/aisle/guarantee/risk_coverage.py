"""Promised against realised precision, and what it covers: the numbers behind the report's curves."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.guarantee.exact_tests import clopper_pearson
from aisle.guarantee.path_confidence import Descent
from aisle.guarantee.policy import Policy
from aisle.guarantee.prediction import Prediction, Verdict
from aisle.metrics import Truth
from aisle.taxonomy import Taxonomy

POINTS = 200


class Curve(NamedTuple):
    """How precision and coverage trade at one level, were its limit moved; (P,) each, strictest first.

    level: of the tree, 1 is the top; 0 is the full path. branch: a top category's id, "" for all.
    threshold: the least calibrated probability answered. coverage: share of the rows it answers.
    precision: share of those that are right; lower, upper: its exact one-sided 95 % limits. rows: how
    many the curve is about.
    """

    level: int
    branch: str
    rows: int
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

    verdict: Verdict
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


def risk_coverage(predictions: Sequence[Prediction], truth: Truth, policy: Policy | None = None) -> Curves:
    """Judge B predictions, and what `policy` promised of them, on products it was not fitted on.

    truth: the acceptable places of the same products, over any tree that holds the predicted paths.
    Products whose label does not tell are left out, level by level.
    """
    walked = _walked(predictions, truth)
    taxonomy, nodes = truth.taxonomy, walked.descent.nodes
    every, last = np.arange(len(predictions)), walked.descent.depth - 1
    found = []
    for top in (-1, *(int(t) for t in taxonomy.level(1))):
        mine = np.ones(len(every), dtype=bool) if top < 0 else nodes[:, 0] == top
        name = "" if top < 0 else taxonomy.nodes[top].id
        for level in range(taxonomy.depth + 1 if top < 0 else 2):
            at = last if level == 0 else np.full(len(every), level - 1)
            # A branch is named above its path's end; where the path ends there, it is the full path.
            rows = np.flatnonzero(mine & (last >= at) & walked.told[every, at])
            if len(rows):
                sure, right = walked.descent.confidence[rows, at[rows]], walked.right[rows, at[rows]]
                found.append(_curve(level, name, sure, right))
    return Curves(tuple(found), tuple(_kept(policy or Policy(), taxonomy, walked)))


class _Walked(NamedTuple):
    """B predictions on their way down: stops (B,) levels decided, 0 for review; told, right: (B, L)
    whether the label tells about the node at each level (about the full path at the last), and is met."""

    descent: Descent
    stops: np.ndarray
    told: np.ndarray
    right: np.ndarray


def _walked(predictions: Sequence[Prediction], truth: Truth) -> _Walked:
    taxonomy = truth.taxonomy
    best = np.array([taxonomy.index(p.best) for p in predictions], dtype=np.int64)
    nodes, depth = taxonomy.ancestors[best], taxonomy.node_depth[best]
    confidence = np.full(nodes.shape, np.nan)
    for row, prediction in enumerate(predictions):
        confidence[row, : len(prediction.confidence)] = prediction.confidence
    stops = np.array([0 if p.decision == "review" else len(p.path) for p in predictions], dtype=np.int64)
    there = truth.node >= 0  # (B, A)
    labels = np.where(there[..., None], taxonomy.ancestors[truth.node], -1)  # (B, A, L)
    right = ((labels == nodes[:, None]) & (nodes >= 0)[:, None]).any(1)
    told = right | (~there[..., None] | truth.exact[..., None] | (labels >= 0)).all(1)
    ends = np.arange(len(best)), depth - 1
    right[ends] = (truth.exact & there & (truth.node == best[:, None])).any(1)
    told[ends] = right[ends] | (truth.exact | ~there).all(1)
    return _Walked(Descent(best, nodes, confidence, depth), stops, told, right)


def _curve(level: int, branch: str, confidence: np.ndarray, right: np.ndarray) -> Curve:
    order = np.argsort(-confidence, kind="stable")
    confidence, hits = confidence[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.diff(confidence, append=-1.0))  # equal confidences are answered together
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, POINTS).astype(int))]
    limits = np.array([clopper_pearson(int(hits[e]), int(e) + 1) for e in ends])
    rows = ends + 1
    return Curve(
        level, branch, len(confidence), confidence[ends], rows / len(confidence), hits[ends] / rows,
        limits[:, 0], limits[:, 1],
    )  # fmt: skip


def _kept(policy: Policy, taxonomy: Taxonomy, walked: _Walked) -> list[Kept]:
    """Each promise against what happened; then each level at which paths end, promised only together."""
    demands = policy.settings.on(taxonomy)
    stops, nodes = walked.stops, walked.descent.nodes
    every, at = np.arange(len(stops)), np.maximum(stops - 1, 0)
    node, right = nodes[every, at], walked.right[every, at]
    usable = walked.told[every, at] | (stops == 0)
    verdict = np.where(stops == 0, "review", np.where(stops == walked.descent.depth, "accept", "partial"))
    found = []
    for promise in policy.guarantees:
        top = taxonomy.find(promise.branch) if promise.branch else None
        if promise.branch and top is None:
            continue
        here = usable & ((nodes[:, 0] == top) if promise.branch else True)
        rows = here & (verdict == promise.verdict) & (demands.precision[node] == promise.precision)
        found.append(
            Kept(
                promise.verdict, 0, promise.branch, promise.precision, promise.holds,
                *_count(right, rows, here),
            )
        )  # fmt: skip
    kinds: tuple[Verdict, ...] = ("accept", "partial")
    for kind in kinds:
        for level in range(1, taxonomy.depth + 1):
            rows = usable & (verdict == kind) & (stops == level)
            if rows.any() and not any(k.verdict == kind and k.level == level for k in found):
                asked = float(demands.precision[node[rows]].min())
                found.append(Kept(kind, level, "", asked, False, *_count(right, rows, usable)))
    return found


def _count(
    correct: np.ndarray, rows: np.ndarray, among: np.ndarray
) -> tuple[int, int, float, float | None, float, float]:
    """rows, right, coverage, precision, lower, upper."""
    count, right = int(rows.sum()), int(correct[rows].sum())
    share = right / count if count else None
    return count, right, count / max(int(among.sum()), 1), share, *clopper_pearson(right, count)
