"""How sure to be of a path: the calibrated probability, the margin, and how far the nearest products agree.

A network is as sure of a wrong label it has learned by heart as of a right one; whether the products
nearest in a space that knows nothing of the tree (a frozen encoder's vectors, words) belong where it says
is news to it. On noisy labels it moves mistakes away from the sure end. So does the margin of the raw
scores, which calibration flattens: docs/guarantee.md, docs/lab-notes.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from aisle.guarantee.nearest import Nearest
from aisle.guarantee.path_confidence import Descent, PathCorrectness
from aisle.taxonomy import Taxonomy

_SUREST = 12.0  # log odds beyond which a probability says no more
_FEWEST = 50  # known rows below which neighbours are not asked
_KNOTS = (0.2, 0.4, 0.6, 0.75, 0.9)  # quantiles where the line may bend
_BEND = 1.0  # of the prior of each slope between knots, around 1
_SPREAD = (2.0, 0.5, 3.0)  # of the priors of offset, slope and weights, around 0, 1 and 0
_MARGIN = 0.1  # the margin's unit is ten nats, so that one prior suits all weights


class Line(NamedTuple):
    """Log odds of being right: z = offset + slope × log odds of the probability + weights · (vote - usual)
    + end × (mean vote at the path's end - ½) + margin × margin / 10, bent at `knots`: between two of them its
    slope is the one of `slopes`.

    weights, usual: a space each; a space without a vote counts as usual. A straight line has no knots.
    """

    offset: float
    slope: float
    weights: tuple[float, ...]
    usual: tuple[float, ...]
    knots: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()
    base: float = 0.0
    end: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True)
class KnnCalibration:
    """Logistic regression on a calibration part: of the full path, and of the branches above it."""

    full: Line
    branch: Line

    @classmethod
    def fit(
        cls,
        taxonomy: Taxonomy,
        descent: Descent,
        margin: np.ndarray,
        truth: PathCorrectness,
        nearest: Nearest | None,
        weight: np.ndarray,
    ) -> "KnnCalibration | None":
        """From calibrated products not trained on; None of too few. margin: (B, L), see `margins`. weight:
        (B,) of each. nearest: None for models without neighbors."""
        signs = _signs(taxonomy, descent, margin, nearest)
        last = descent.depth - 1
        rows = np.flatnonzero(truth.full_known)
        if len(rows) < _FEWEST:
            return None
        ends = last[rows]
        full = _line(descent.confidence[rows, ends], signs[rows, ends], truth.full[rows], weight[rows])
        above = (np.arange(descent.nodes.shape[1]) < last[:, None]) & truth.branch_known
        rows, levels = np.nonzero(above)
        if len(rows) < _FEWEST:
            return cls(full, _as_it_is(len(full.weights)))
        branch = _line(
            descent.confidence[rows, levels], signs[rows, levels], truth.branch[rows, levels], weight[rows]
        )
        return cls(full, branch)

    @property
    def uses_neighbors(self) -> bool:
        """Whether it reads what neighbors say."""
        return bool(self.full.weights or self.branch.weights)

    def apply(
        self, taxonomy: Taxonomy, descent: Descent, margin: np.ndarray, nearest: Nearest | None
    ) -> Descent:
        """The same path, with recalibrated confidence; no level above the one before.

        Raises:
            ValueError: no neighbors, and it was fitted with them.
        """
        if nearest is None and self.uses_neighbors:
            raise ValueError("this policy was fitted with what neighbours say: give `nearest` here too")
        signs = _signs(taxonomy, descent, margin, nearest if self.uses_neighbors else None)
        every, last = np.arange(len(descent.best)), descent.depth - 1
        sure = _sure(self.branch, descent.confidence, signs)
        sure[every, last] = _sure(self.full, descent.confidence[every, last], signs[every, last])
        sure = np.minimum.accumulate(np.where(descent.nodes >= 0, sure, np.inf), axis=1)
        return descent._replace(confidence=np.where(descent.nodes >= 0, sure, np.nan))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"full": self.full._asdict(), "branch": self.branch._asdict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "KnnCalibration":
        """Read back what `to_dict` wrote."""
        return cls(*(_read(data[name]) for name in ("full", "branch")))


def _signs(taxonomy: Taxonomy, descent: Descent, margin: np.ndarray, nearest: Nearest | None) -> np.ndarray:
    """(B, L, 2 + S): the margin, the mean vote at the path's end, and at each level the share of the
    neighbors' vote, by space; no space without neighbors."""
    rows, levels = descent.nodes.shape
    vote = np.zeros((rows, levels, 0))
    if nearest is not None:
        vote = np.moveaxis(nearest.vote_share(taxonomy, descent.nodes), 1, -1)
    ends = vote[np.arange(rows), descent.depth - 1]  # (B, S)
    there = np.isfinite(ends)
    mean = np.where(there, ends - 0.5, 0).sum(1) / np.maximum(there.sum(1), 1)
    mean = np.broadcast_to(mean[:, None], (rows, levels))
    return np.concatenate([margin[..., None] * _MARGIN, mean[..., None], vote], -1)


def _read(data: Mapping[str, Any]) -> Line:
    weights, usual = (tuple(map(float, data[name])) for name in ("weights", "usual"))
    knots, slopes = (tuple(map(float, data[name])) for name in ("knots", "slopes"))
    one = {name: float(data[name]) for name in ("offset", "slope", "base", "end", "margin")}
    return Line(weights=weights, usual=usual, knots=knots, slopes=slopes, **one)


def _as_it_is(spaces: int) -> Line:
    return Line(0.0, 1.0, (0.0,) * spaces, (0.0,) * spaces)


def _log_odds(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.log(p) - np.log1p(-p), -_SUREST, _SUREST)


def _columns(p: np.ndarray, signs: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """(..., 4 + S) one, log odds, margin, mean vote at the end, and each space's vote beyond the usual."""
    vote = signs[..., 2:]
    beyond = np.where(np.isfinite(vote), vote - usual, 0.0)
    return np.concatenate([np.ones((*p.shape, 1)), _log_odds(p)[..., None], signs[..., :2], beyond], -1)


def _sure(line: Line, p: np.ndarray, signs: np.ndarray) -> np.ndarray:
    parameters = [line.offset, line.slope, line.margin, line.end, *line.weights]
    x = _columns(p, signs, np.array(line.usual)) @ np.array(parameters)
    if line.knots:
        x = line.base + _ramps(x, line.knots) @ np.array(line.slopes)
    return 1 / (1 + np.exp(-x))


def _ramps(z: np.ndarray, knots: tuple[float, ...]) -> np.ndarray:
    """(..., K + 1) how far z goes beyond each knot, up to the next; the first from the first knot down."""
    ends = np.array([*knots, np.inf])
    up = np.clip(z[..., None] - ends[:-1], 0, ends[1:] - ends[:-1])
    return np.concatenate([np.minimum(z[..., None] - knots[0], 0), up], -1)


def _bent(line: Line, z: np.ndarray, right: np.ndarray, weight: np.ndarray) -> Line:
    """The line with a monotone, piecewise linear correction: straight, it is often too unsure at its end."""
    from scipy.optimize import minimize

    knots = tuple(map(float, np.unique(np.quantile(z, _KNOTS).round(6))))
    x, sign = _ramps(z, knots), np.where(right, 1.0, -1.0)

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (free[0] + x @ free[1:])
        off = (free[1:] - 1) / _BEND
        pull = -(weight * sign / (1 + np.exp(margin)))
        value = weight @ np.logaddexp(0, -margin) + 0.5 * off @ off
        return float(value), np.concatenate([[pull.sum()], pull @ x + off / _BEND])

    begin = np.concatenate([[knots[0]], np.ones(x.shape[1])])
    bounds = [(None, None)] + [(0.0, None)] * x.shape[1]
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds)["x"]
    return line._replace(knots=knots, slopes=tuple(map(float, found[1:])), base=float(found[0]))


def _line(p: np.ndarray, signs: np.ndarray, right: np.ndarray, weight: np.ndarray) -> Line:
    """The likeliest line under normal priors; p (R,), signs (R, 2 + S), right (R,), weight (R,)."""
    from scipy.optimize import minimize  # takes a second to import, and what only answers fits nothing

    vote = signs[:, 2:]
    told = np.isfinite(vote)
    usual = np.where(told, vote, 0).sum(0) / np.maximum(told.sum(0), 1)
    x, sign = _columns(p, signs, usual), np.where(right, 1.0, -1.0)
    centre = np.array([0.0, 1.0] + [0.0] * signs.shape[1])
    spread = np.array([*_SPREAD[:2]] + [_SPREAD[2]] * signs.shape[1])

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        off = (line - centre) / spread
        margin = sign * (x @ line)
        value = weight @ np.logaddexp(0, -margin) + 0.5 * off @ off
        slope = -(weight * sign / (1 + np.exp(margin))) @ x + off / spread
        return float(value), slope

    # Neighbours who agree never make a path less sure, nor does a higher probability or margin. Only their
    # vote for the very end, which the model knows too, may count less than one elsewhere in the branch.
    bounds = [(None, None), (0.0, None), (0.0, None), (None, None)] + [(0.0, None)] * vote.shape[1]
    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds)["x"]
    offset, slope, margin, end, *weights = map(float, found)
    line = Line(offset, slope, tuple(weights), tuple(map(float, usual)), end=end, margin=margin)
    return _bent(line, x @ found, right, weight)
