"""Products that belong nowhere in the tree: those that the network and the nearest products dispute about.

A network's own confidence says little here: a softmax always names somewhere. What tells is a second
opinion from the products it learned from, in spaces that know nothing of the tree (a frozen
encoder's vectors, words): do those nearest stand where the network says? That a product is unlike all that
was learned from tells less, for where listings differ much so are many that belong; it counts half.
Measured by leaving whole branches out: docs/guarantee.md, docs/lab-notes.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aisle.guarantee.nearest import Nearest
from aisle.taxonomy import Scores

_FEWEST = 20  # rows in which a space must be seen to be judged by
_SHARPNESS = 20.0  # how sharply a difference in cosine similarity speaks for a top category
_WEIGHTS = (1.0, 1.0, 0.5)  # of the signs


@dataclass(frozen=True)
class Novelty:
    """How a product's strangeness is told, and from where on it is flagged.

    centre, spread: (3 S) usual value and deviation, among products that do belong, of each of S spaces'
    signs: by how many of the nearest stand in another top category, how likeness speaks against the
    network's, and how unlike the nearest is; where there is one top category, (S), the last alone. flag:
    strangeness above this is flagged; a share `alarms` of the products that do belong is, too.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    flag: float
    alarms: float

    @classmethod
    def fit(cls, calibrated: Scores, nearest: Nearest, alarms: float = 0.02) -> "Novelty":
        """From products that belong in the tree and were not learned from.

        The flag is the split-conformal quantile: a product that belongs is flagged with a chance of at
        most `alarms`, over the draw of these and of it.
        """
        signs = _signs(calibrated, nearest)
        seen = np.isfinite(signs).sum(0) >= _FEWEST
        centre = np.where(seen, [_mean(c) for c in signs.T], 0.0)
        spread = np.where(
            seen,
            [max(_mean((c - m) ** 2) ** 0.5, 1e-6) for c, m in zip(signs.T, centre, strict=True)],
            np.inf,
        )
        usual = cls(tuple(map(float, centre)), tuple(map(float, spread)), np.inf, alarms)
        told = np.sort(usual.strangeness(calibrated, nearest))
        told = told[np.isfinite(told)]
        rank = int(np.ceil((len(told) + 1) * (1 - alarms)))
        return cls(usual.centre, usual.spread, float(told[rank - 1]) if rank <= len(told) else np.inf, alarms)

    def strangeness(self, calibrated: Scores, nearest: Nearest) -> np.ndarray:
        """(B,) weighted mean of the signs, each in its usual deviations; NaN where no space says anything."""
        found = _signs(calibrated, nearest)
        signs = (found - np.array(self.centre)) / np.array(self.spread)
        told = np.isfinite(signs) & np.isfinite(self.spread)
        alike = nearest.likeness.shape[2] == 1  # all count the same
        weight = 1.0 if alike else np.repeat(_WEIGHTS, signs.shape[1] // 3)
        total = (told * weight).sum(1)
        mean = (np.where(told, signs, 0) * weight).sum(1) / np.where(total > 0, total, 1)
        return np.where(total > 0, mean, np.nan)

    def flagged(self, calibrated: Scores, nearest: Nearest) -> np.ndarray:
        """(B,) bool: probably belongs nowhere in the tree."""
        with np.errstate(invalid="ignore"):
            return self.strangeness(calibrated, nearest) > self.flag

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers; what is infinite becomes None."""
        finite = [None if not np.isfinite(s) else s for s in self.spread]
        flag = self.flag if np.isfinite(self.flag) else None
        return {
            "centre": list(self.centre),
            "spread": finite,
            "flag": flag,
            "alarms": self.alarms,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Novelty":
        """Read back what `to_dict` wrote."""
        spread = tuple(np.inf if s is None else float(s) for s in data["spread"])
        flag = np.inf if data["flag"] is None else float(data["flag"])
        centre = tuple(float(c) for c in data["centre"])
        return cls(centre, spread, flag, float(data["alarms"]))


def _mean(values: np.ndarray) -> float:
    told = values[np.isfinite(values)]
    return float(told.mean()) if len(told) else 0.0


def _signs(calibrated: Scores, nearest: Nearest) -> np.ndarray:
    """(B, 3 S), or (B, S) in a tree of one top category: the signs that `Novelty` tells of."""
    tree = calibrated.taxonomy
    network = np.exp(calibrated.level(1)[:, :-1].astype(np.float64))[:, None]  # (B, 1, T)
    likeness = nearest.likeness.astype(np.float64)  # (B, S, T)
    closest = likeness.max(2, keepdims=True)
    if likeness.shape[2] == 1:
        return -closest[..., 0]
    column = np.zeros(len(tree), dtype=np.int64)
    column[tree.level(1)] = np.arange(likeness.shape[2])
    top = column[tree.ancestors[nearest.place, 0]]  # (B, S, K)
    agreed = np.take_along_axis(np.broadcast_to(network, likeness.shape), top, 2) * (nearest.place >= 0)
    voters = np.isfinite(nearest.similarity).sum(2)
    share = agreed.sum(2) / np.where(voters > 0, voters, np.nan)
    vote = np.exp(_SHARPNESS * (likeness - closest))
    overlap = np.sqrt(vote / vote.sum(2, keepdims=True) * network).max(2)
    return -np.concatenate([share, overlap, closest[..., 0]], 1)
