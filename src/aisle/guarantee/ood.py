"""Out-of-distribution detection: products that probably belong nowhere in the tree.

A softmax always names a category, so its confidence says little. The evidence is a second opinion from the
training products, in embeddings that do not depend on the tree (a frozen encoder's vectors, TF-IDF): whether
the nearest lie in the top category that the model names, how similar they are, and whether linear models that
need not choose (`Discriminant`) find the product in any category. Low similarity to the nearest counts half,
because many products that do belong are unlike the others. Measured by leaving out whole branches:
docs/guarantee.md, docs/lab-notes.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aisle.guarantee.nearest import Nearest
from aisle.taxonomy import Scores, Taxonomy

_MIN_ROWS = 20  # products that a sign needs to be used
_SHARPNESS = 20.0  # inverse temperature of the softmax over branch similarities
_SPACE_SIGNS = (1.0, 1.0, 0.5, 1.5)  # weights of the signs of each space, in the order of `OodDetector`
_COMMON_SIGNS = (1.5, 0.5)  # weights of the signs of all spaces together
_EVERY_SPACE = 0.1  # added to the weight of each space, so that none is left out
_BRANCH_PRIOR = 50.0  # products at the mean of all that a branch's usual score is shrunk by


@dataclass(frozen=True)
class OodDetector:
    """Out-of-distribution score of a product, and the threshold above which it is flagged.

    Each of S spaces has four signs: the share of the nearest products in other top categories than the
    model's, how far their similarities contradict the model's top category, the dissimilarity to the nearest
    product, and the relative Mahalanobis distance to the nearest category. Two signs are common: by how much
    the highest output of the ridge regression is below what is usual in its top category, and the model's
    confidence. Signs that compare top categories are not known in a tree of one.

    Attributes:
        space: (S,) weight of each space, summing to 1: how well its ridge regression tells top categories.
        branch_score: Usual highest output of the ridge regression by id of the top category; "" for others.
        centre: (4 S + 2,) mean of each sign among products that belong in the tree.
        spread: (4 S + 2,) standard deviation of each sign; inf: the sign is not used.
        flag: Threshold; products with a higher score are flagged. inf: none is.
        alarms: Share of the products that belong in the tree that is flagged too.
    """

    space: tuple[float, ...]
    branch_score: Mapping[str, float] = field(default_factory=dict)
    centre: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    flag: float = np.inf
    alarms: float = 0.02

    @classmethod
    def fit(
        cls, calibrated: Scores, node: np.ndarray, nearest: Nearest, alarms: float = 0.02
    ) -> "OodDetector":
        """Fit on products that belong in the tree and that the model was not trained on.

        Args:
            calibrated: (B, N) calibrated log-probabilities.
            node: (B,) where they belong; -1: not known.
            nearest: The most similar training products of each.
            alarms: Probability that a product that belongs is flagged, over the draw of these rows and of
                it (split-conformal quantile).

        Returns:
            A detector with `flag` inf, which flags nothing, if there are too few products for `alarms`.
        """
        space = _space_weights(calibrated.taxonomy, node, nearest)
        usual = _usual_scores(calibrated.taxonomy, _weighted_mean(nearest.branch_score, np.array(space)))
        signs = _signs(calibrated, nearest, space, usual)
        seen = np.isfinite(signs).sum(0) >= _MIN_ROWS
        centre = np.where(seen, [_mean(c) for c in signs.T], 0.0)
        spread = np.where(
            seen,
            [max(_mean((c - m) ** 2) ** 0.5, 1e-6) for c, m in zip(signs.T, centre, strict=True)],
            np.inf,
        )
        unflagged = cls(space, usual, tuple(map(float, centre)), tuple(map(float, spread)), np.inf, alarms)
        scores = np.sort(unflagged.score(calibrated, nearest))
        scores = scores[np.isfinite(scores)]
        rank = int(np.ceil((len(scores) + 1) * (1 - alarms)))
        return replace(unflagged, flag=float(scores[rank - 1]) if rank <= len(scores) else np.inf)

    def score(self, calibrated: Scores, nearest: Nearest) -> np.ndarray:
        """Out-of-distribution score: the weighted mean of the standardized signs.

        Args:
            calibrated: (B, N) calibrated log-probabilities.
            nearest: The most similar training products of each.

        Returns:
            (B,) scores, higher is more unusual; NaN where no space is known.
        """
        found = _signs(calibrated, nearest, self.space, self.branch_score)
        signs = (found - np.array(self.centre)) / np.array(self.spread)
        signs = np.where(np.isfinite(self.spread), signs, np.nan)
        spaces = len(self.space)
        own = signs[:, : 4 * spaces].reshape(len(signs), 4, spaces).transpose(0, 2, 1)  # (B, S, 4)
        parts = np.concatenate([_weighted_mean(own, np.array(self.space)), signs[:, 4 * spaces :]], 1)
        score = _weighted_mean(parts[:, :, None], np.array([*_SPACE_SIGNS, *_COMMON_SIGNS]))[:, 0]
        return np.where(np.isfinite(own).any((1, 2)), score, np.nan)

    def flagged(self, calibrated: Scores, nearest: Nearest) -> np.ndarray:
        """(B,) bool: the score is above `flag`, so that the product probably belongs nowhere in the tree."""
        with np.errstate(invalid="ignore"):
            return self.score(calibrated, nearest) > self.flag

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible numbers; inf becomes None."""
        return {
            "space": list(self.space),
            "branch_score": dict(self.branch_score),
            "centre": list(self.centre),
            "spread": [None if not np.isfinite(s) else s for s in self.spread],
            "flag": self.flag if np.isfinite(self.flag) else None,
            "alarms": self.alarms,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "OodDetector":
        """Read back what `to_dict` wrote."""
        return cls(
            tuple(map(float, data["space"])),
            {str(name): float(value) for name, value in data["branch_score"].items()},
            tuple(map(float, data["centre"])),
            tuple(np.inf if s is None else float(s) for s in data["spread"]),
            np.inf if data["flag"] is None else float(data["flag"]),
            float(data["alarms"]),
        )


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, X) mean of values (B, S, X) over S, weighted (S,), of those that are known; NaN where none is."""
    known = np.isfinite(values)
    total = (known * weights[:, None]).sum(1)
    mean = (np.where(known, values, 0.0) * weights[:, None]).sum(1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, np.nan)


def _space_weights(taxonomy: Taxonomy, node: np.ndarray, nearest: Nearest) -> tuple[float, ...]:
    """(S,) weights, summing to 1: non-negative least squares of top categories on the ridge regressions'."""
    from scipy.optimize import nnls  # slow to import, and not needed to predict

    known = np.flatnonzero(node >= 0)
    outputs = np.nan_to_num(nearest.branch_score[known].astype(np.float64))  # (B, S, T)
    spaces, tops = outputs.shape[1:]
    weight = np.zeros(spaces)
    if tops > 1 and len(known):
        truth = taxonomy.ancestors[node[known], :1] == taxonomy.level(1)
        weight = nnls(np.moveaxis(outputs, 1, 2).reshape(-1, spaces), truth.ravel().astype(np.float64))[0]
    weight += _EVERY_SPACE
    return tuple(map(float, weight / weight.sum()))


def _usual_scores(taxonomy: Taxonomy, scores: np.ndarray) -> dict[str, float]:
    """Mean highest score by id of the top category that has it, shrunk to the mean of all, which is at "".

    Args:
        taxonomy: The tree.
        scores: (B, T) of the top categories; NaN where none is known.
    """
    scores = scores[np.isfinite(scores).all(1)]
    if not scores.size:
        return {}
    highest, branch, overall = scores.max(1), scores.argmax(1), float(scores.max(1).mean())
    count = np.bincount(branch, minlength=scores.shape[1])
    total = np.bincount(branch, highest, minlength=scores.shape[1])
    mean = (total + _BRANCH_PRIOR * overall) / (count + _BRANCH_PRIOR)
    tops = taxonomy.level(1)
    return {"": overall} | {taxonomy.nodes[tops[k]].id: float(mean[k]) for k in np.flatnonzero(count)}


def _signs(
    calibrated: Scores, nearest: Nearest, space: tuple[float, ...], usual: Mapping[str, float]
) -> np.ndarray:
    """(B, 4 S + 2) signs of `OodDetector`: sign by sign those of the spaces, then the common ones.

    Higher is more unusual; NaN where the view is absent.
    """
    tree = calibrated.taxonomy
    model = np.exp(calibrated.level(1)[:, :-1].astype(np.float64))[:, None]  # (B, 1, T)
    similarity = nearest.branch_similarity.astype(np.float64)  # (B, S, T)
    closest = similarity.max(2, keepdims=True)
    share, overlap = _agreement(tree, model, similarity, closest, nearest)
    score = _weighted_mean(nearest.branch_score, np.array(space))
    branch = np.where(np.isfinite(score), score, -np.inf).argmax(1)
    ids = [tree.nodes[top].id for top in tree.level(1)]
    below = np.array([usual.get(name, usual.get("", np.nan)) for name in ids])[branch] - score.max(1)
    if len(ids) == 1:
        below = np.full(len(share), np.nan)
    common = np.stack([below, -calibrated.logp.max(1).astype(np.float64)], 1)
    return np.concatenate([-share, -overlap, -closest[..., 0], nearest.distance, common], 1)


def _agreement(
    tree: Taxonomy, model: np.ndarray, similarity: np.ndarray, closest: np.ndarray, nearest: Nearest
) -> tuple[np.ndarray, np.ndarray]:
    """(B, S) each: how far the neighbors agree with the model's top categories, by number and by similarity.

    NaN in a tree of one top category.
    """
    if similarity.shape[2] == 1:
        unknown = np.full(similarity.shape[:2], np.nan)
        return unknown, unknown
    column = np.zeros(len(tree), dtype=np.int64)
    column[tree.level(1)] = np.arange(similarity.shape[2])
    top = column[tree.ancestors[nearest.node, 0]]  # (B, S, K)
    agreed = np.take_along_axis(np.broadcast_to(model, similarity.shape), top, 2) * (nearest.node >= 0)
    voters = np.isfinite(nearest.similarity).sum(2)
    share = agreed.sum(2) / np.where(voters > 0, voters, np.nan)
    vote = np.exp(_SHARPNESS * (similarity - closest))
    return share, np.sqrt(vote / vote.sum(2, keepdims=True) * model).max(2)
