"""Out-of-distribution detection: products that probably belong nowhere in the tree.

A softmax always names a category, so its confidence says little. The evidence is a second opinion from the
nearest training products, in embeddings that do not depend on the tree (a frozen encoder's vectors, TF-IDF):
whether they lie in the top categories that the model names. Low similarity to all training products counts
half, because many products that do belong are unlike the others. Measured by leaving out whole branches:
docs/guarantee.md, docs/lab-notes.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aisle.guarantee.nearest import Nearest
from aisle.taxonomy import Scores

_MIN_ROWS = 20  # products that a sign needs to be used
_SHARPNESS = 20.0  # inverse temperature of the softmax over branch similarities
_WEIGHTS = (1.0, 1.0, 0.5)  # of the three signs, in the order of `OodDetector`


@dataclass(frozen=True)
class OodDetector:
    """Out-of-distribution score of a product, and the threshold above which it is flagged.

    Each of S spaces has three signs: the share of the nearest products in other top categories than the
    model's, how far their similarities contradict the model's top category, and the dissimilarity to the
    nearest product. In a tree of one top category only the last is used.

    Attributes:
        centre: (3 S,) or (S,) mean of each sign among products that belong in the tree.
        spread: (3 S,) or (S,) standard deviation of each sign; inf: the sign is not used.
        flag: Threshold; products with a higher score are flagged. inf: none is.
        alarms: Share of the products that belong in the tree that is flagged too.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    flag: float
    alarms: float

    @classmethod
    def fit(cls, calibrated: Scores, nearest: Nearest, alarms: float = 0.02) -> "OodDetector":
        """Fit on products that belong in the tree and that the model was not trained on.

        Args:
            calibrated: (B, N) calibrated log-probabilities.
            nearest: The most similar training products of each.
            alarms: Probability that a product that belongs is flagged, over the draw of these rows and of
                it (split-conformal quantile).

        Returns:
            A detector with `flag` inf, which flags nothing, if there are too few products for `alarms`.
        """
        signs = _signs(calibrated, nearest)
        seen = np.isfinite(signs).sum(0) >= _MIN_ROWS
        centre = np.where(seen, [_mean(c) for c in signs.T], 0.0)
        spread = np.where(
            seen,
            [max(_mean((c - m) ** 2) ** 0.5, 1e-6) for c, m in zip(signs.T, centre, strict=True)],
            np.inf,
        )
        unflagged = cls(tuple(map(float, centre)), tuple(map(float, spread)), np.inf, alarms)
        scores = np.sort(unflagged.score(calibrated, nearest))
        scores = scores[np.isfinite(scores)]
        rank = int(np.ceil((len(scores) + 1) * (1 - alarms)))
        return cls(
            unflagged.centre,
            unflagged.spread,
            float(scores[rank - 1]) if rank <= len(scores) else np.inf,
            alarms,
        )

    def score(self, calibrated: Scores, nearest: Nearest) -> np.ndarray:
        """Out-of-distribution score: the weighted mean of the standardized signs.

        Args:
            calibrated: (B, N) calibrated log-probabilities.
            nearest: The most similar training products of each.

        Returns:
            (B,) scores, higher is more unusual; NaN where no sign is known.
        """
        found = _signs(calibrated, nearest)
        signs = (found - np.array(self.centre)) / np.array(self.spread)
        known = np.isfinite(signs) & np.isfinite(self.spread)
        one_branch = nearest.branch_similarity.shape[2] == 1  # one sign a space, all of equal weight
        weight = 1.0 if one_branch else np.repeat(_WEIGHTS, signs.shape[1] // 3)
        total = (known * weight).sum(1)
        mean = (np.where(known, signs, 0) * weight).sum(1) / np.where(total > 0, total, 1)
        return np.where(total > 0, mean, np.nan)

    def flagged(self, calibrated: Scores, nearest: Nearest) -> np.ndarray:
        """(B,) bool: the score is above `flag`, so that the product probably belongs nowhere in the tree."""
        with np.errstate(invalid="ignore"):
            return self.score(calibrated, nearest) > self.flag

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible numbers; inf becomes None."""
        finite = [None if not np.isfinite(s) else s for s in self.spread]
        flag = self.flag if np.isfinite(self.flag) else None
        return {
            "centre": list(self.centre),
            "spread": finite,
            "flag": flag,
            "alarms": self.alarms,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "OodDetector":
        """Read back what `to_dict` wrote."""
        spread = tuple(np.inf if s is None else float(s) for s in data["spread"])
        flag = np.inf if data["flag"] is None else float(data["flag"])
        centre = tuple(float(c) for c in data["centre"])
        return cls(centre, spread, flag, float(data["alarms"]))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def _signs(calibrated: Scores, nearest: Nearest) -> np.ndarray:
    """(B, 3 S) signs of `OodDetector`, sign by sign; (B, S) in a tree of one top category.

    Higher is more unusual; NaN where the view is absent.
    """
    tree = calibrated.taxonomy
    model = np.exp(calibrated.level(1)[:, :-1].astype(np.float64))[:, None]  # (B, 1, T)
    similarity = nearest.branch_similarity.astype(np.float64)  # (B, S, T)
    closest = similarity.max(2, keepdims=True)
    if similarity.shape[2] == 1:
        return -closest[..., 0]
    column = np.zeros(len(tree), dtype=np.int64)
    column[tree.level(1)] = np.arange(similarity.shape[2])
    top = column[tree.ancestors[nearest.node, 0]]  # (B, S, K)
    agreed = np.take_along_axis(np.broadcast_to(model, similarity.shape), top, 2) * (nearest.node >= 0)
    voters = np.isfinite(nearest.similarity).sum(2)
    share = agreed.sum(2) / np.where(voters > 0, voters, np.nan)
    vote = np.exp(_SHARPNESS * (similarity - closest))
    overlap = np.sqrt(vote / vote.sum(2, keepdims=True) * model).max(2)
    return -np.concatenate([share, overlap, closest[..., 0]], 1)
