"""Coverage and precision of the decisions of `predict`."""

from collections.abc import Sequence
from itertools import compress

import numpy as np

from aisle.evaluation.scores import (
    Decisions,
    DecisionScore,
    GuaranteeCheck,
    GuaranteeCurve,
    GuaranteeReport,
    RuleDecisions,
)
from aisle.evaluation.summary import limits
from aisle.guarantee import Curve, Policy, Prediction, Verdict, risk_coverage
from aisle.metrics import Truth, clopper_pearson

POINTS = 60  # points of each curve


def decisions(predictions: Sequence[Prediction], truth: Truth, policy: Policy | None = None) -> Decisions:
    """Compare each decided path with the acceptable categories of its product.

    Products on which rules acted are counted apart, in `by_rules`: no guarantee covers them.

    Args:
        predictions: The predictions.
        truth: The acceptable categories.
        policy: The policy that made the decisions, for its guarantees.
    """
    tree = truth.taxonomy
    nodes = [tree.find(p.path) if p.path else None for p in predictions]
    node = np.array([-1 if n is None else n for n in nodes], dtype=np.int64)
    verdict = np.array([p.decision for p in predictions])
    own = decided_by_model(predictions)
    full = (verdict == "accept") & (node >= 0)
    branch = (verdict == "partial") & (node >= 0)
    right = right_of(truth, node, full)
    accept, partial = full & own, branch & own
    lineage = np.where((node >= 0)[:, None], tree.ancestors[node], -1)  # (B, L)
    levels = []
    for depth in range(tree.depth):
        at_depth = lineage[:, depth]
        rows = (at_depth >= 0) & (accept | partial)
        levels.append(decided_score(rows, rows & _is_compatible(truth, at_depth)))
    placed = accept | partial
    while levels and not levels[-1].count:
        levels.pop()
    return Decisions(
        accept=decided_score(accept, accept & right, _guaranteed(policy, "accept")),
        partial=decided_score(partial, partial & right, _guaranteed(policy, "partial")),
        placed=decided_score(placed, placed & right),
        review=decided_score(own & ~placed, None),
        levels=tuple(levels),
        by_rules=None if own.all() else _by_rules((full | branch) & ~own, right, own),
    )


def decided_by_model(predictions: Sequence[Prediction]) -> np.ndarray:
    """(B,) bool: no rule acted on the product. Guarantees cover these alone."""
    return np.array([not p.rule for p in predictions], dtype=bool)


def rule_decisions(predictions: Sequence[Prediction]) -> RuleDecisions:
    """How many products rules decided or left for review, where no labels tell how many rightly."""
    own = decided_by_model(predictions)
    decided = np.array([p.decision != "review" for p in predictions], dtype=bool)
    return _by_rules(decided & ~own, None, own)


def _by_rules(decided: np.ndarray, right: np.ndarray | None, own: np.ndarray) -> RuleDecisions:
    return RuleDecisions(
        decided=decided_score(decided, None if right is None else decided & right),
        review=decided_score(~decided & ~own, None),
    )


def right_of(truth: Truth, node: np.ndarray, accept: np.ndarray) -> np.ndarray:
    """(B,) bool: the full path (`accept`) or the branch decided for each product is right.

    Args:
        truth: The acceptable categories of B products.
        node: (B,) the decided node; -1 for none.
        accept: (B,) bool: it is a full path.
    """
    return np.where(accept, truth.hits(node[:, None])[:, 0], _is_compatible(truth, node))


def guarantee_report(
    predictions: Sequence[Prediction], truth: Truth, policy: Policy | None = None
) -> GuaranteeReport:
    """Guaranteed against realized precision and coverage of the same predictions, as curves.

    Only products on which no rule acted are counted.
    """
    own = decided_by_model(predictions)
    measured = risk_coverage(list(compress(predictions, own)), truth[own], policy)
    return GuaranteeReport(
        curves=tuple(_thin(curve) for curve in measured.curves),
        checks=tuple(
            GuaranteeCheck(
                verdict=k.verdict, level=k.level, branch=k.branch, guaranteed=k.asked_precision,
                shown=k.holds, count=k.rows, right=k.right, coverage=k.coverage, precision=k.precision,
                lower=k.lower, upper=k.upper, broken=k.broken,
            )
            for k in measured.outcomes
        ),
    )  # fmt: skip


def _thin(curve: Curve) -> GuaranteeCurve:
    """At most `POINTS` points, evenly spaced, with the last."""
    indices = np.unique(np.linspace(0, len(curve.threshold) - 1, POINTS).round().astype(int))
    names = ("threshold", "coverage", "precision", "lower", "upper")
    points = {name: tuple(np.round(getattr(curve, name)[indices], 5).tolist()) for name in names}
    return GuaranteeCurve(level=curve.level, branch=curve.branch, products=curve.rows, **points)


def _is_compatible(truth: Truth, node: np.ndarray) -> np.ndarray:
    """(B,) bool: an acceptable category is the node, below it, or an inexact branch that contains it."""
    tree = truth.taxonomy
    depth = np.maximum(tree.node_depth[node], 1)
    in_branch = (tree.ancestors[truth.node, depth[:, None] - 1] == node[:, None]) & (
        truth.node >= 0
    )  # (B, A)
    return (node >= 0) & (in_branch.any(1) | truth.hits(node[:, None])[:, 0])


def _guaranteed(policy: Policy | None, verdict: Verdict) -> float | None:
    """The lowest precision guaranteed for this decision over the whole tree; None if there is none."""
    guarantees = [p for p in policy.guarantees if p.holds and not p.branch] if policy else []
    return min((p.precision for p in guarantees if p.verdict == verdict), default=None)


def decided_score(
    rows: np.ndarray, right: np.ndarray | None, guaranteed: float | None = None
) -> DecisionScore:
    """Of B products, those in `rows` got one kind of decision, and those in `right` rightly.

    Args:
        rows: (B,) bool.
        right: (B,) bool; None where nothing was decided.
        guaranteed: The precision guaranteed for these decisions.
    """
    count = int(rows.sum())
    precision = clopper_pearson(int(right.sum()), count) if right is not None and count else None
    return DecisionScore(
        count=count,
        coverage=count / len(rows) if len(rows) else 0.0,
        precision=None if precision is None else limits(precision),
        guaranteed=guaranteed,
    )
