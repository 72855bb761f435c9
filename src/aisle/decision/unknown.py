"""Products that belong nowhere in the tree: unlike all that was learned from, and disputed.

A network's own confidence says little here: a softmax always names somewhere. What tells is a second
opinion from the products it learned from, in spaces that know nothing of the tree (a frozen
encoder's vectors, words): is there anything like this one, and does it stand where the network says?
Measured by leaving whole branches out: docs/promise.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aisle.decision.calibration import blocks
from aisle.taxonomy import Scores, Taxonomy

NEAREST = 3  # neighbours in each top category whose mean similarity counts
_VOTE = 10.0  # how sharply a difference in cosine similarity speaks for a category
_FEWEST = 20  # rows in which a space must be seen to be judged by


class Neighbours:
    """Products learned from, in one space: what a new one is compared with.

    vectors: (n, D) float, any length but zero; tops: (n,) the id of each one's top category. Of more than
    `most` products an even share of each category is kept, drawn by chance (always the same).
    """

    def __init__(self, vectors: np.ndarray, tops: Sequence[str], most: int = 20_000) -> None:
        kept = _even_share(np.asarray(tops), most)
        self.vectors = _unit(np.asarray(vectors)[kept])
        self.tops = np.asarray(tops)[kept]

    def likeness(self, vectors: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
        """(B, T) float32: how like these products are to the nearest in each of T top categories.

        The mean cosine similarity of the `NEAREST` there; NaN in all columns where a row of `vectors`
        (B, D) is zero or not a number (the view is absent), -1 where a category has no product here.
        """
        tops = [taxonomy.nodes[t].id for t in taxonomy.level(1)]
        out = np.full((len(vectors), len(tops)), -1.0, dtype=np.float32)
        columns = [np.flatnonzero(self.tops == top) for top in tops]
        for rows in blocks(len(vectors), len(self.vectors) + 1):
            unit = _unit(np.asarray(vectors[rows]))
            for column, those in enumerate(columns):
                if not len(those):
                    continue
                near = unit @ self.vectors[those].T
                k = min(NEAREST, len(those))
                out[rows, column] = np.partition(near, len(those) - k, axis=1)[:, -k:].mean(1)
            absent = ~(np.abs(unit).sum(1) > 0)
            out[rows.start + np.flatnonzero(absent)] = np.nan
        return out


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; zero ones, and those that are not numbers, become zero."""
    vectors = np.nan_to_num(vectors.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _even_share(tops: np.ndarray, most: int) -> np.ndarray:
    """Sorted row numbers, at most `most`: all of small categories, equally many of larger ones."""
    if len(tops) <= most:
        return np.arange(len(tops))
    order = np.random.default_rng(0).permutation(len(tops))
    _, code = np.unique(tops[order], return_inverse=True)
    by_category = np.argsort(code, kind="stable")
    starts = np.r_[0, np.cumsum(np.bincount(code))[:-1]]
    turn = np.empty(len(tops), dtype=np.int64)  # each product's turn within its category
    turn[by_category] = np.arange(len(tops)) - np.repeat(starts, np.bincount(code))
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])


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
    vote = np.exp(_VOTE * (spaces - nearest[..., None]))
    vote /= vote.sum(2, keepdims=True)
    agreement = np.einsum("bst,bt->bs", vote, network)
    dispute = -np.log(np.maximum(agreement, 1e-9))
    return np.concatenate([-nearest, np.where(np.isfinite(nearest), dispute, np.nan)], 1)
