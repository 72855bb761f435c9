"""The way down to each product's best terminal, how sure each step is, and whether it is right."""

from typing import NamedTuple

import numpy as np

from aisle.guarantee.calibration import blocks
from aisle.taxonomy import Scores, Targets, Taxonomy

_WIDEST = 30.0  # a margin beyond which nothing more is said
OUTSIDE = -2  # as a target's node: this product belongs nowhere in the tree


class Descent(NamedTuple):
    """B products on their way down L levels.

    best: (B,) the most probable terminal's node. nodes: (B, L) its ancestors, itself the last, -1
    below. confidence: (B, L) float64 probability of each, of the last that products end exactly there, never
    rising; NaN below. depth: (B,) levels.
    """

    best: np.ndarray
    nodes: np.ndarray
    confidence: np.ndarray
    depth: np.ndarray


def descend(scores: Scores) -> Descent:
    """The path to the most probable terminal of each row."""
    taxonomy = scores.taxonomy
    best = scores.best() if len(scores) else np.zeros(0, dtype=np.int64)
    nodes = taxonomy.ancestors[best]
    depth = taxonomy.node_depth[best]
    start, stop = np.moveaxis(taxonomy.span[nodes], -1, 0)  # (B, L) each; whatever stands at -1 is masked
    own, ends = taxonomy.terminal_of[best], (np.arange(len(best)), depth - 1)
    start[ends], stop[ends] = own, own + 1  # the path ends there: categories further down are others
    confidence = np.empty(nodes.shape)
    for rows in blocks(len(scores), scores.logp.shape[1]):
        upto = np.exp(scores.logp[rows].astype(np.float64)).cumsum(1)  # (b, N)
        upto = np.pad(upto, ((0, 0), (1, 0)))
        inside = np.take_along_axis(upto, stop[rows], 1) - np.take_along_axis(upto, start[rows], 1)
        confidence[rows] = inside / upto[:, -1:]
    confidence = np.minimum.accumulate(np.clip(confidence, 0.0, 1.0), axis=1)
    return Descent(best, nodes, np.where(nodes >= 0, confidence, np.nan), depth)


def margins(scores: Scores, descent: Descent) -> np.ndarray:
    """(B, L) by how much the raw log-probability of the path's end exceeds that of the best terminal that is
    not in the branch at each level (at the last: any other terminal), within ±`_WIDEST`; 0 below the path.

    Args:
        scores: Uncalibrated. Calibration flattens large differences, which still tell a right path.
        descent: The paths of the same products.
    """
    taxonomy, every, last = scores.taxonomy, np.arange(len(scores)), descent.depth - 1
    own = taxonomy.terminal_of[descent.best]
    start, stop = np.moveaxis(taxonomy.span[descent.nodes], -1, 0).copy()
    start[every, last], stop[every, last] = own, own + 1
    found = np.zeros(descent.nodes.shape)
    for rows in blocks(len(scores), scores.logp.shape[1]):
        logp = scores.logp[rows]
        none = np.full((len(logp), 1), -np.inf, logp.dtype)
        before = np.concatenate([none, np.maximum.accumulate(logp, 1)], 1)
        behind = np.concatenate([np.maximum.accumulate(logp[:, ::-1], 1)[:, ::-1], none], 1)
        outside = np.maximum(
            np.take_along_axis(before, start[rows], 1), np.take_along_axis(behind, stop[rows], 1)
        )
        with np.errstate(invalid="ignore"):
            found[rows] = np.take_along_axis(logp, own[rows, None], 1) - outside
    found = np.clip(np.nan_to_num(found, nan=0.0), -_WIDEST, _WIDEST)
    return np.where(descent.nodes >= 0, found, 0.0)


class PathCorrectness(NamedTuple):
    """What is known of a descent. full: (B,) the full path is right; branch: (B, L) the node at each
    level is on the true path; full_known (B,), branch_known (B, L): the label tells."""

    full: np.ndarray
    branch: np.ndarray
    full_known: np.ndarray
    branch_known: np.ndarray


def judge(taxonomy: Taxonomy, descent: Descent, targets: Targets) -> PathCorrectness:
    """Compare with the labels.

    An exact target is right at full depth only when met exactly. One known only to a branch tells
    nothing about levels below its own. Node OUTSIDE: the product belongs nowhere in the tree, so
    that every answer is wrong; any other negative node: nothing is known.
    """
    lineage = np.where((targets.node >= 0)[:, None], taxonomy.ancestors[targets.node], -1)  # (B, L)
    outside = targets.node == OUTSIDE
    exact = (targets.exact & (targets.node >= 0)) | outside
    branch = (descent.nodes >= 0) & (descent.nodes == lineage)
    return PathCorrectness(
        full=exact & (descent.best == targets.node),
        branch=branch,
        full_known=exact,
        branch_known=exact[:, None] | (lineage >= 0),
    )
