"""Guaranteed and realized precision, and risk-coverage curves, of labelled predictions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.guarantee.exact_tests import clopper_pearson
from aisle.guarantee.path_confidence import Descent
from aisle.guarantee.policy import Policy
from aisle.guarantee.prediction import Prediction, Verdict
from aisle.metrics import Truth
from aisle.taxonomy import Taxonomy

POINTS = 200  # of a curve, at most


class Curve(NamedTuple):
    """Precision against coverage at one level as its threshold falls; P points, highest threshold first.

    Attributes:
        level: Of the tree, 1 is the top; 0 is the full path.
        branch: The id of a top category; "" is the whole tree.
        rows: Number of products with a known label there.
        threshold: (P,) lowest confidence that is decided.
        coverage: (P,) share of the rows that is decided.
        precision: (P,) share of these that is right.
        lower: (P,) exact one-sided 95 % lower limit of the precision.
        upper: (P,) exact one-sided 95 % upper limit.
    """

    level: int
    branch: str
    rows: int
    threshold: np.ndarray
    coverage: np.ndarray
    precision: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class GuaranteeOutcome(NamedTuple):
    """Decisions of one kind compared with the precision asked for.

    Attributes:
        verdict: The kind of decision.
        level: The level at which the paths end; 0 is any.
        branch: The id of a top category; "" is the whole tree.
        asked_precision: The precision asked for.
        holds: Whether the guarantee was established when the policy was fitted.
        rows: Number of decisions.
        right: How many of them are right.
        coverage: Decisions as a share of the products that the model puts in the branch.
        precision: `right / rows`; None without decisions.
        lower: Exact one-sided 95 % lower limit of the precision.
        upper: Exact one-sided 95 % upper limit.
    """

    verdict: Verdict
    level: int
    branch: str
    asked_precision: float
    holds: bool
    rows: int
    right: int
    coverage: float
    precision: float | None
    lower: float
    upper: float

    @property
    def broken(self) -> bool:
        """The guarantee holds, but `upper` is below the precision asked for."""
        return self.holds and self.upper < self.asked_precision


class Curves(NamedTuple):
    """Risk-coverage curves, and the outcome of every guarantee, on products the policy was not fitted on."""

    curves: tuple[Curve, ...]
    outcomes: tuple[GuaranteeOutcome, ...]


def risk_coverage(predictions: Sequence[Prediction], truth: Truth, policy: Policy | None = None) -> Curves:
    """Compare predictions, and the guarantees of their policy, with labels.

    A product counts at a level only if its label is known there.

    Args:
        predictions: Of B products that the policy was not fitted on.
        truth: The acceptable categories of the same products, in any tree that has the predicted paths.
        policy: The policy that decided; without one there are curves only.

    Returns:
        Curves of the whole tree at every level and of each top category, and the outcomes.

    Raises:
        TaxonomyError: A predicted path, or a category of the policy's settings, is not in that tree.
    """
    descents = _labelled_descents(predictions, truth)
    taxonomy, nodes = truth.taxonomy, descents.descent.nodes
    every, last = np.arange(len(predictions)), descents.descent.depth - 1
    curves = []
    for top in (-1, *(int(t) for t in taxonomy.level(1))):
        in_branch = np.ones(len(every), dtype=bool) if top < 0 else nodes[:, 0] == top
        branch = "" if top < 0 else taxonomy.nodes[top].id
        for level in range(taxonomy.depth + 1 if top < 0 else 2):
            at = last if level == 0 else np.full(len(every), level - 1)
            # A node at or above the last of its path; at the last, it is judged as a full path.
            rows = np.flatnonzero(in_branch & (last >= at) & descents.known[every, at])
            if len(rows):
                confidence = descents.descent.confidence[rows, at[rows]]
                curves.append(_curve(level, branch, confidence, descents.right[rows, at[rows]]))
    return Curves(tuple(curves), tuple(_outcomes(policy or Policy(), taxonomy, descents)))


class _LabelledDescents(NamedTuple):
    """The most probable paths of B products, compared with their labels.

    Attributes:
        descent: The paths, with their confidence.
        stops: (B,) levels decided; 0 is review.
        known: (B, L) bool: the label decides whether the node at this level (at the last, the full path) is
            right.
        right: (B, L) bool: it is right.
    """

    descent: Descent
    stops: np.ndarray
    known: np.ndarray
    right: np.ndarray


def _labelled_descents(predictions: Sequence[Prediction], truth: Truth) -> _LabelledDescents:
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
    known = right | (~there[..., None] | truth.exact[..., None] | (labels >= 0)).all(1)
    ends = np.arange(len(best)), depth - 1
    right[ends] = (truth.exact & there & (truth.node == best[:, None])).any(1)
    known[ends] = right[ends] | (truth.exact | ~there).all(1)
    return _LabelledDescents(Descent(best, nodes, confidence, depth), stops, known, right)


def _curve(level: int, branch: str, confidence: np.ndarray, right: np.ndarray) -> Curve:
    """The curve of R nodes: confidence (R,), and whether each is right (R,)."""
    order = np.argsort(-confidence, kind="stable")
    confidence, hits = confidence[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.diff(confidence, append=-1.0))  # equal confidences are decided together
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, POINTS).astype(int))]
    limits = np.array([clopper_pearson(int(hits[e]), int(e) + 1) for e in ends])
    rows = ends + 1
    return Curve(
        level, branch, len(confidence), confidence[ends], rows / len(confidence), hits[ends] / rows,
        limits[:, 0], limits[:, 1],
    )  # fmt: skip


def _outcomes(policy: Policy, taxonomy: Taxonomy, descents: _LabelledDescents) -> list[GuaranteeOutcome]:
    """The outcome of each guarantee; then of each level at which paths end, which has none of its own."""
    demands = policy.settings.on(taxonomy)
    stops, nodes = descents.stops, descents.descent.nodes
    every, at = np.arange(len(stops)), np.maximum(stops - 1, 0)
    node, right = nodes[every, at], descents.right[every, at]
    usable = descents.known[every, at] | (stops == 0)
    verdict = np.where(stops == 0, "review", np.where(stops == descents.descent.depth, "accept", "partial"))
    found = []
    for guarantee in policy.guarantees:
        top = taxonomy.find(guarantee.branch) if guarantee.branch else None
        if guarantee.branch and top is None:
            continue
        here = usable & ((nodes[:, 0] == top) if guarantee.branch else True)
        rows = here & (verdict == guarantee.verdict) & (demands.precision[node] == guarantee.precision)
        found.append(
            GuaranteeOutcome(
                guarantee.verdict, 0, guarantee.branch, guarantee.precision, guarantee.holds,
                *_count(right, rows, here),
            )
        )  # fmt: skip
    kinds: tuple[Verdict, ...] = ("accept", "partial")
    for kind in kinds:
        for level in range(1, taxonomy.depth + 1):
            rows = usable & (verdict == kind) & (stops == level)
            if rows.any() and not any(k.verdict == kind and k.level == level for k in found):
                asked = float(demands.precision[node[rows]].min())
                found.append(GuaranteeOutcome(kind, level, "", asked, False, *_count(right, rows, usable)))
    return found


def _count(
    correct: np.ndarray, rows: np.ndarray, among: np.ndarray
) -> tuple[int, int, float, float | None, float, float]:
    """Rows, right, coverage, precision, lower and upper; all arguments are (B,) bool."""
    count, right = int(rows.sum()), int(correct[rows].sum())
    share = right / count if count else None
    return count, right, count / max(int(among.sum()), 1), share, *clopper_pearson(right, count)
