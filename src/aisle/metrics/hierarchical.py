"""Hierarchical metrics: precision, recall and F1 over ancestors, per level, and Kakao Arena's score."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.metrics.flat import F1, f1_scores
from aisle.metrics.truth import MatchedPredictions, Truth
from aisle.taxonomy import Scores


class HierarchicalScores(NamedTuple):
    """Micro-averaged precision, recall and F1 over ancestor sets.

    Attributes:
        precision: hP.
        recall: hR.
        f1: hF.
    """

    precision: float
    recall: float
    f1: float


def hierarchical_scores(matched: MatchedPredictions) -> HierarchicalScores:
    """Hierarchical precision, recall and F1.

    hP = Σ|P∩T| / Σ|P|, hR = Σ|P∩T| / Σ|T|, hF = 2·hP·hR / (hP + hR).

    P and T are the predicted and the true category with all their ancestors, without the root. A prediction
    in the branch of a label that is not exact counts as that branch.

    Source: Kiritchenko, Matwin, Nock & Famili (2006), recommended by Silla & Freitas (2011, section 6).
    """
    depth = matched.taxonomy.node_depth
    common, answered, true = matched.shared.sum(), depth[matched.answer].sum(), depth[matched.node].sum()
    precision = float(common / answered) if answered else float("nan")
    recall = float(common / true) if true else float("nan")
    return HierarchicalScores(
        precision, recall, float(2 * common / (answered + true)) if true else float("nan")
    )


class Level(NamedTuple):
    """Predictions at one level.

    Attributes:
        rows: (n,) the products whose label reaches the level.
        true: (n,) the nodes of the labels there.
        predicted: (n,) the predicted nodes there; the last node of the path where it ends above.
        right: (n,) bool, whether they are equal.
    """

    rows: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    right: np.ndarray

    @property
    def f1(self) -> F1:
        """F1 of paths cut to this level, as by scikit-learn."""
        return f1_scores(self.true, self.predicted)


def at_level(matched: MatchedPredictions, depth: int) -> Level:
    """The predictions at a level (from 1), for the products whose label reaches it."""
    ancestors = matched.taxonomy.ancestors
    rows = np.flatnonzero(ancestors[matched.node, depth - 1] >= 0)
    true = ancestors[matched.node[rows], depth - 1]
    node = matched.predicted[rows]
    reached = ancestors[node, depth - 1]
    predicted = np.where(reached >= 0, reached, node)
    return Level(rows, true, predicted, true == predicted)


CONTEST_WEIGHTS = (1.0, 1.2, 1.3, 1.4)  # of the levels, top first: Kakao Arena's shopping classification


def contest_score(matched: MatchedPredictions, weights: Sequence[float] = CONTEST_WEIGHTS) -> float:
    """The weighted mean of the accuracies of all levels: Σ weight × accuracy / number of levels.

    The accuracy of a level is over the products whose label reaches it. With the default weights this is the
    score of Kakao Arena's shopping classification, at best 1.225.

    Args:
        matched: the predictions.
        weights: of the levels, from the top.

    Raises:
        ValueError: the tree is deeper than there are weights.
    """
    depth = matched.taxonomy.depth
    if depth > len(weights):
        raise ValueError(f"{len(weights)} weights for a tree of {depth} levels")
    levels = [at_level(matched, level).right for level in range(1, depth + 1)]
    total = sum(w * float(right.mean()) for w, right in zip(weights, levels, strict=False) if len(right))
    return total / len(weights)


class LevelRanks(NamedTuple):
    """Ranks of the acceptable nodes of one level.

    Attributes:
        rank: (B,) number of nodes more probable than the best acceptable one, so that rank < k means top-k; a
            large number where there is none.
        nll: (B,) negative log-probability of the acceptable nodes together; infinite where there is none.
    """

    rank: np.ndarray
    nll: np.ndarray


def level_ranks(scores: Scores, truth: Truth, depth: int) -> LevelRanks:
    """The ranks of the acceptable nodes of a level (from 1); that the path ends above is a candidate too."""
    logp = scores.level(depth)  # (B, n + 1)
    column = _columns(truth, depth)  # (B, A)
    own = np.where(column >= 0, np.take_along_axis(logp, column, axis=1), -np.inf)
    rank = np.full(len(truth), np.iinfo(np.int64).max)
    for a in range(column.shape[1]):
        acceptable = own[:, a, None]
        earlier = np.arange(logp.shape[1]) < column[:, a, None]
        better = ((logp > acceptable) | ((logp == acceptable) & earlier)).sum(1)
        rank = np.where(np.isfinite(acceptable[:, 0]), np.minimum(rank, better), rank)
        repeated = (column[:, :a] == column[:, a, None]).any(1)
        own[repeated, a] = -np.inf
    return LevelRanks(rank, -np.logaddexp.reduce(own, axis=1))


def _columns(truth: Truth, depth: int) -> np.ndarray:
    """(B, A) the column of each acceptable category in `Scores.level(depth)`, -1 where it ends above."""
    tree = truth.taxonomy
    position = np.full(len(tree) + 1, -1, dtype=np.int64)  # the last entry is that of -1
    here = tree.level(depth)
    position[here] = np.arange(len(here))
    ancestor = np.where(truth.node >= 0, tree.ancestors[truth.node, depth - 1], -1)
    return position[ancestor]
