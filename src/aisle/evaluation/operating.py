"""The operating curve of a model, and how often it was right on labelled products at each of its points."""

from collections.abc import Sequence
from itertools import compress

import numpy as np

from aisle.evaluation.decision_metrics import decided_by_model, decided_score, right_of
from aisle.evaluation.scores import MeasuredPoint, OperatingCurve
from aisle.guarantee import Policy, Prediction, summarize_curve
from aisle.guarantee.path_confidence import Descent
from aisle.guarantee.predictions import NO_VIEW, OOD_MESSAGE
from aisle.metrics import Truth
from aisle.taxonomy import Taxonomy


def operating_curve(predictions: Sequence[Prediction], truth: Truth, policy: Policy) -> OperatingCurve:
    """The curve of `policy`, and what its points decide of labelled products, and how often rightly.

    Args:
        predictions: Of B products, by this policy at any of its points. Those on which rules acted are left
            out.
        truth: (B,) where they belong.
        policy: With its curve.
    """
    own = decided_by_model(predictions)
    predictions, truth = list(compress(predictions, own)), truth[own]
    summary = summarize_curve(policy)
    tree = truth.taxonomy
    descent, for_review = _paths(predictions, tree)
    points = []
    for point in summary.points:
        depth = policy.at(point.precision).stops(tree, descent, for_review)
        node = np.where(depth > 0, descent.nodes[np.arange(len(depth)), depth - 1], -1)
        accept = (depth > 0) & (depth == descent.depth)
        right = right_of(truth, node, accept)
        partial = (depth > 0) & ~accept
        points.append(
            MeasuredPoint(
                **point._asdict(),
                measured_full=decided_score(accept, accept & right),
                measured_branch=decided_score(partial, partial & right),
                measured_review=decided_score(depth == 0, None),
            )
        )
    return OperatingCurve(**{**summary.to_dict(), "points": tuple(points)})


def _paths(predictions: Sequence[Prediction], tree: Taxonomy) -> tuple[Descent, np.ndarray]:
    """The paths that predictions chose, and (B,) which of them may not be decided at any precision."""
    best = np.array([tree.index(p.best) for p in predictions], dtype=np.int64)
    depth = tree.node_depth[best]
    confidence = np.full((len(best), tree.depth), np.nan)
    for row, prediction in enumerate(predictions):
        confidence[row, : len(prediction.confidence)] = prediction.confidence
    for_review = np.array([OOD_MESSAGE in p.problems or p.reason == NO_VIEW for p in predictions], dtype=bool)
    return Descent(best, tree.ancestors[best], confidence, depth), for_review
