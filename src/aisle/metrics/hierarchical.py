"""Hierarchical metrics: precision, recall and F1 over ancestors, per level, and a contest's score."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.metrics.flat import F1, f1_scores
from aisle.metrics.truth import MatchedPredictions, Truth
from aisle.taxonomy import Scores


class HierarchicalScores(NamedTuple):
    """Micro-averaged precision, recall and F1 over ancestor sets."""

    precision: float
    recall: float
    f1: float


def hierarchical_scores(judged: MatchedPredictions) -> HierarchicalScores:
    """hP = Σ|P∩T| / Σ|P|, hR = Σ|P∩T| / Σ|T|, hF = 2·hP·hR / (hP + hR), where P and T hold the
    predicted and the true place with all their ancestors, the root left out.

    Kiritchenko, Matwin, Nock & Famili (2006), recommended by Silla & Freitas (2011, section 6). A
    label known only to a branch says nothing about what is below it, so a prediction inside that
    branch is taken back to it.
    """
    depth = judged.taxonomy.node_depth
    common, answered, true = judged.shared.sum(), depth[judged.answer].sum(), depth[judged.node].sum()
    precision = float(common / answered) if answered else float("nan")
    recall = float(common / true) if true else float("nan")
    return HierarchicalScores(
        precision, recall, float(2 * common / (answered + true)) if true else float("nan")
    )


class Level(NamedTuple):
    """One level's products: `rows` (n,) those whose label reaches it, `true` and `predicted` (n,) the
    nodes there (the predicted path's last one where it ends above), and whether they agree."""

    rows: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    right: np.ndarray

    @property
    def f1(self) -> F1:
        """As scikit-learn gives on paths cut to this level."""
        return f1_scores(self.true, self.predicted)


def at_level(judged: MatchedPredictions, depth: int) -> Level:
    """What is right at level `depth` (1 is the top), over the products whose label reaches it."""
    ancestors = judged.taxonomy.ancestors
    rows = np.flatnonzero(ancestors[judged.node, depth - 1] >= 0)
    true = ancestors[judged.node[rows], depth - 1]
    answer = judged.predicted[rows]
    reached = ancestors[answer, depth - 1]
    predicted = np.where(reached >= 0, reached, answer)
    return Level(rows, true, predicted, true == predicted)


CONTEST_WEIGHTS = (1.0, 1.2, 1.3, 1.4)  # of the levels, top first: Kakao Arena's shopping classification


def contest_score(judged: MatchedPredictions, weights: Sequence[float] = CONTEST_WEIGHTS) -> float:
    """Σ weight × accuracy over the levels, divided by their number: each level's accuracy is of the products
    whose label reaches it, and a level that none reaches adds nothing.

    With the default weights it is the score of Kakao Arena's shopping contest, at best 1.225.

    Raises:
        ValueError: the tree is deeper than there are weights.
    """
    depth = judged.taxonomy.depth
    if depth > len(weights):
        raise ValueError(f"{len(weights)} weights for a tree of {depth} levels")
    levels = [at_level(judged, level).right for level in range(1, depth + 1)]
    total = sum(w * float(right.mean()) for w, right in zip(weights, levels, strict=False) if len(right))
    return total / len(weights)


class LevelRanks(NamedTuple):
    """How the acceptable nodes of one level stand among all nodes there.

    rank: (B,) how many are more probable than the best acceptable one (0: none is, so rank < k means
    top-k); a large number where every label ends above, or none can be answered. nll: (B,) negative
    log-probability of the acceptable ones together; infinite where there is none.
    """

    rank: np.ndarray
    nll: np.ndarray


def level_ranks(scores: Scores, truth: Truth, depth: int) -> LevelRanks:
    """The acceptable nodes at level `depth`; that the path ended above competes with them too."""
    logp = scores.level(depth)  # (B, n + 1)
    column = _columns(truth, depth)  # (B, A)
    own = np.where(column >= 0, np.take_along_axis(logp, column, axis=1), -np.inf)
    rank = np.full(len(truth), np.iinfo(np.int64).max)
    for a in range(column.shape[1]):
        mine = own[:, a, None]
        earlier = np.arange(logp.shape[1]) < column[:, a, None]
        better = ((logp > mine) | ((logp == mine) & earlier)).sum(1)
        rank = np.where(np.isfinite(mine[:, 0]), np.minimum(rank, better), rank)
        again = (column[:, :a] == column[:, a, None]).any(1)
        own[again, a] = -np.inf  # counted already
    return LevelRanks(rank, -np.logaddexp.reduce(own, axis=1))


def _columns(truth: Truth, depth: int) -> np.ndarray:
    """(B, A) each acceptable place's column in `Scores.level(depth)`, -1 where it ends above."""
    tree = truth.taxonomy
    position = np.full(len(tree) + 1, -1, dtype=np.int64)  # the last entry answers for -1
    here = tree.level(depth)
    position[here] = np.arange(len(here))
    ancestor = np.where(truth.node >= 0, tree.ancestors[truth.node, depth - 1], -1)
    return position[ancestor]
