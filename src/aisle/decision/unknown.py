"""Products that belong nowhere in the tree: unlike all that was learned from, and disputed.

A network's own confidence says little here: a softmax always names somewhere. What tells is a second
opinion from the products it learned from, in spaces that know nothing of the tree (a frozen
encoder's vectors, words): is there anything like this one, and does it stand where the network says?
Measured by leaving whole branches out: docs/promise.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aisle.decision.neighbours import SHARPNESS
from aisle.taxonomy import Scores

_FEWEST = 20  # rows in which a space must be seen to be judged by


@dataclass(frozen=True)
class Novelty:
    """How a product's strangeness is told, and from where on it is flagged.

    centre, spread: (2 S) usual value and deviation, among products that do belong, of each of S
    spaces' two signs: how unlike the nearest product is, and how far the network's top categories and
    the neighbours' disagree. flag: strangeness above this is flagged; a share `alarms` of the products
    that do belong is, too.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    flag: float
    alarms: float

    @classmethod
    def fit(cls, calibrated: Scores, likeness: np.ndarray, alarms: float = 0.02) -> "Novelty":
        """From products that belong in the tree and were not learned from.

        likeness: (B, S, T) or (B, T), from `Neighbours.likeness`, a space each; NaN where absent. The
        flag is the split-conformal quantile: a product that belongs is flagged with a chance of at
        most `alarms`, over the draw of these and of it.
        """
        signs = _signs(calibrated, likeness)
        seen = np.isfinite(signs).sum(0) >= _FEWEST
        centre = np.where(seen, [_mean(c) for c in signs.T], 0.0)
        spread = np.where(
            seen,
            [max(_mean((c - m) ** 2) ** 0.5, 1e-6) for c, m in zip(signs.T, centre, strict=True)],
            np.inf,
        )
        usual = cls(tuple(map(float, centre)), tuple(map(float, spread)), np.inf, alarms)
        told = np.sort(usual.strangeness(calibrated, likeness))
        told = told[np.isfinite(told)]
        rank = int(np.ceil((len(told) + 1) * (1 - alarms)))
        return cls(usual.centre, usual.spread, float(told[rank - 1]) if rank <= len(told) else np.inf, alarms)

    def strangeness(self, calibrated: Scores, likeness: np.ndarray) -> np.ndarray:
        """(B,) mean of the signs, each in its usual deviations; NaN where no space says anything."""
        signs = (_signs(calibrated, likeness) - np.array(self.centre)) / np.array(self.spread)
        told = np.isfinite(signs) & np.isfinite(self.spread)
        return np.where(told.any(1), np.where(told, signs, 0).sum(1) / np.maximum(told.sum(1), 1), np.nan)

    def flagged(self, calibrated: Scores, likeness: np.ndarray) -> np.ndarray:
        """(B,) bool: probably belongs nowhere in the tree."""
        with np.errstate(invalid="ignore"):
            return self.strangeness(calibrated, likeness) > self.flag

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers; what is infinite becomes None."""
        finite = [None if not np.isfinite(s) else s for s in self.spread]
        flag = self.flag if np.isfinite(self.flag) else None
        return {"centre": list(self.centre), "spread": finite, "flag": flag, "alarms": self.alarms}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Novelty":
        """Read back what `to_dict` wrote."""
        spread = tuple(np.inf if s is None else float(s) for s in data["spread"])
        flag = np.inf if data["flag"] is None else float(data["flag"])
        return cls(tuple(float(c) for c in data["centre"]), spread, flag, float(data["alarms"]))


def _mean(values: np.ndarray) -> float:
    told = values[np.isfinite(values)]
    return float(told.mean()) if len(told) else 0.0


def _signs(calibrated: Scores, likeness: np.ndarray) -> np.ndarray:
    """(B, 2 S) how unlike the nearest is, and how far both opinions on the top category disagree."""
    likeness = np.asarray(likeness, dtype=np.float64)
    spaces = likeness[:, None] if likeness.ndim == 2 else likeness  # (B, S, T)
    network = np.exp(calibrated.level(1)[:, :-1].astype(np.float64))  # (B, T)
    nearest = spaces.max(2)  # (B, S)
    vote = np.exp(SHARPNESS * (spaces - nearest[..., None]))
    vote /= vote.sum(2, keepdims=True)
    agreement = np.einsum("bst,bt->bs", vote, network)
    dispute = -np.log(np.maximum(agreement, 1e-9))
    return np.concatenate([-nearest, np.where(np.isfinite(nearest), dispute, np.nan)], 1)
