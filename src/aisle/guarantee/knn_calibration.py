"""Recalibrated confidence of a path: logistic regression on probability, margin and the neighbors' vote.

A network is as confident of a wrong label that it memorized as of a right one. The nearest training products,
in embeddings that do not depend on the tree (a frozen encoder's vectors, TF-IDF), are independent evidence:
with noisy labels they lower the confidence of mistakes. So does the margin of the raw scores, which
calibration flattens. Measured in docs/guarantee.md and docs/lab-notes.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from aisle.guarantee.nearest import Nearest
from aisle.guarantee.path_confidence import Descent, PathCorrectness
from aisle.taxonomy import Taxonomy

_MAX_LOG_ODDS = 12.0  # log-odds of a probability are clipped to plus or minus this
_MIN_ROWS = 50  # labelled rows that a fit needs
_KNOTS = (0.2, 0.4, 0.6, 0.75, 0.9)  # quantiles of the log-odds where the slope may change
_SLOPE_STD = 1.0  # of the normal prior of each slope between knots; its mean is 1
_PRIOR_STD = (2.0, 0.5, 3.0)  # of the normal priors of offset, slope and weights; their means are 0, 1 and 0
_MARGIN_SCALE = 0.1  # margins are in units of ten nats, so that one prior suits all weights


class Line(NamedTuple):
    """Log-odds of a right path, as a function of evidence from S spaces.

    z = offset + slope * log-odds of the probability + weights . (vote - usual) + end * (mean vote at the end
    of the path - 0.5) + margin * margin of the scores / 10. With knots, z is mapped by a monotone, piecewise
    linear function: `base` at the first knot, and a slope on each side of it and between two knots.

    Attributes:
        offset: The intercept.
        slope: Of the log-odds of the calibrated probability.
        weights: (S,) of the neighbors' vote in each space.
        usual: (S,) mean vote in each space when fitted; a space without a vote counts as this.
        knots: (K,) values of z, ascending; empty for a straight line.
        slopes: (K + 1,) slopes, below the first knot first.
        base: The value at the first knot.
        end: Of the mean vote at the end of the path.
        margin: Of the margin of the scores.
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
    """Logistic regression fitted on calibration rows.

    Attributes:
        full: For full paths.
        branch: For the branches above.
    """

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
    ) -> "KnnCalibration | None":
        """Fit on B products that the model was not trained on.

        Args:
            taxonomy: The tree of `descent`.
            descent: The most probable paths, with calibrated confidence.
            margin: (B, L) margins of the raw scores (`margins`).
            truth: Which nodes of the paths are right.
            nearest: The most similar training products; None for a model without neighbors.

        Returns:
            None if fewer than `_MIN_ROWS` full paths have a known label.
        """
        features = _features(taxonomy, descent, margin, nearest)
        last = descent.depth - 1
        rows = np.flatnonzero(truth.full_known)
        if len(rows) < _MIN_ROWS:
            return None
        ends = last[rows]
        full = _fit_line(descent.confidence[rows, ends], features[rows, ends], truth.full[rows])
        above = (np.arange(descent.nodes.shape[1]) < last[:, None]) & truth.branch_known
        rows, levels = np.nonzero(above)
        if len(rows) < _MIN_ROWS:
            return cls(full, _identity(len(full.weights)))
        branch = _fit_line(
            descent.confidence[rows, levels], features[rows, levels], truth.branch[rows, levels]
        )
        return cls(full, branch)

    @property
    def uses_neighbors(self) -> bool:
        """Whether it needs the nearest products."""
        return bool(self.full.weights or self.branch.weights)

    def apply(
        self, taxonomy: Taxonomy, descent: Descent, margin: np.ndarray, nearest: Nearest | None
    ) -> Descent:
        """The same paths with recalibrated confidence, which never rises from a level to the next.

        Args:
            taxonomy: The tree of `descent`.
            descent: The most probable paths of B products, with calibrated confidence.
            margin: (B, L) margins of the raw scores (`margins`).
            nearest: The most similar training products.

        Raises:
            ValueError: `nearest` is missing, and it was fitted with neighbors.
        """
        if nearest is None and self.uses_neighbors:
            raise ValueError("this policy was fitted with neighbors: give `nearest` here too")
        features = _features(taxonomy, descent, margin, nearest if self.uses_neighbors else None)
        every, last = np.arange(len(descent.best)), descent.depth - 1
        confidence = _probability(self.branch, descent.confidence, features)
        confidence[every, last] = _probability(
            self.full, descent.confidence[every, last], features[every, last]
        )
        confidence = np.minimum.accumulate(np.where(descent.nodes >= 0, confidence, np.inf), axis=1)
        return descent._replace(confidence=np.where(descent.nodes >= 0, confidence, np.nan))

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible numbers; the keys are the fields of `Line`."""
        return {"full": self.full._asdict(), "branch": self.branch._asdict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "KnnCalibration":
        """Read back what `to_dict` wrote."""
        return cls(*(_line_from_dict(data[name]) for name in ("full", "branch")))


def _features(
    taxonomy: Taxonomy, descent: Descent, margin: np.ndarray, nearest: Nearest | None
) -> np.ndarray:
    """(B, L, 2 + S) margin, mean vote at the end of the path, and the vote in each space at each level.

    S is 0 without neighbors; a vote is NaN where the view is absent.
    """
    rows, levels = descent.nodes.shape
    vote = np.zeros((rows, levels, 0))
    if nearest is not None:
        vote = np.moveaxis(nearest.vote_share(taxonomy, descent.nodes), 1, -1)
    ends = vote[np.arange(rows), descent.depth - 1]  # (B, S)
    there = np.isfinite(ends)
    mean = np.where(there, ends - 0.5, 0).sum(1) / np.maximum(there.sum(1), 1)
    mean = np.broadcast_to(mean[:, None], (rows, levels))
    return np.concatenate([margin[..., None] * _MARGIN_SCALE, mean[..., None], vote], -1)


def _line_from_dict(data: Mapping[str, Any]) -> Line:
    weights, usual = (tuple(map(float, data[name])) for name in ("weights", "usual"))
    knots, slopes = (tuple(map(float, data[name])) for name in ("knots", "slopes"))
    one = {name: float(data[name]) for name in ("offset", "slope", "base", "end", "margin")}
    return Line(weights=weights, usual=usual, knots=knots, slopes=slopes, **one)


def _identity(spaces: int) -> Line:
    return Line(0.0, 1.0, (0.0,) * spaces, (0.0,) * spaces)


def _log_odds(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.log(p) - np.log1p(-p), -_MAX_LOG_ODDS, _MAX_LOG_ODDS)


def _design_matrix(p: np.ndarray, features: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """(..., 4 + S) one, log-odds, margin, mean vote at the end, and each space's vote minus `usual`.

    Args:
        p: (...) calibrated probabilities.
        features: (..., 2 + S) from `_features`.
        usual: (S,) mean vote in each space.
    """
    vote = features[..., 2:]
    beyond = np.where(np.isfinite(vote), vote - usual, 0.0)
    return np.concatenate([np.ones((*p.shape, 1)), _log_odds(p)[..., None], features[..., :2], beyond], -1)


def _probability(line: Line, p: np.ndarray, features: np.ndarray) -> np.ndarray:
    parameters = [line.offset, line.slope, line.margin, line.end, *line.weights]
    x = _design_matrix(p, features, np.array(line.usual)) @ np.array(parameters)
    if line.knots:
        x = line.base + _hinge_basis(x, line.knots) @ np.array(line.slopes)
    return 1 / (1 + np.exp(-x))


def _hinge_basis(z: np.ndarray, knots: tuple[float, ...]) -> np.ndarray:
    """(..., K + 1) basis of a piecewise linear function: z below the first knot, and within each interval."""
    ends = np.array([*knots, np.inf])
    up = np.clip(z[..., None] - ends[:-1], 0, ends[1:] - ends[:-1])
    return np.concatenate([np.minimum(z[..., None] - knots[0], 0), up], -1)


def _fit_piecewise(line: Line, z: np.ndarray, right: np.ndarray) -> Line:
    """Add a monotone, piecewise linear correction: a straight line is often underconfident at the top.

    Args:
        line: The straight line.
        z: (R,) its log-odds.
        right: (R,) bool, the path is right.
    """
    from scipy.optimize import minimize

    knots = tuple(map(float, np.unique(np.quantile(z, _KNOTS).round(6))))
    x, sign = _hinge_basis(z, knots), np.where(right, 1.0, -1.0)

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (free[0] + x @ free[1:])
        off = (free[1:] - 1) / _SLOPE_STD
        pull = -sign / (1 + np.exp(margin))
        value = np.logaddexp(0, -margin).sum() + 0.5 * off @ off
        return float(value), np.concatenate([[pull.sum()], pull @ x + off / _SLOPE_STD])

    begin = np.concatenate([[knots[0]], np.ones(x.shape[1])])
    bounds = [(None, None)] + [(0.0, None)] * x.shape[1]
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds)["x"]
    return line._replace(knots=knots, slopes=tuple(map(float, found[1:])), base=float(found[0]))


def _fit_line(p: np.ndarray, features: np.ndarray, right: np.ndarray) -> Line:
    """Maximum a posteriori logistic regression under normal priors.

    Args:
        p: (R,) calibrated probabilities.
        features: (R, 2 + S) from `_features`.
        right: (R,) bool, the path is right.
    """
    from scipy.optimize import minimize  # slow to import, and not needed to predict

    vote = features[:, 2:]
    known = np.isfinite(vote)
    usual = np.where(known, vote, 0).sum(0) / np.maximum(known.sum(0), 1)
    x, sign = _design_matrix(p, features, usual), np.where(right, 1.0, -1.0)
    centre = np.array([0.0, 1.0] + [0.0] * features.shape[1])
    spread = np.array([*_PRIOR_STD[:2]] + [_PRIOR_STD[2]] * features.shape[1])

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        off = (line - centre) / spread
        margin = sign * (x @ line)
        value = np.logaddexp(0, -margin).sum() + 0.5 * off @ off
        slope = -(sign / (1 + np.exp(margin))) @ x + off / spread
        return float(value), slope

    # Agreement of neighbors, a higher probability and a higher margin never lower the confidence. Only their
    # vote for the end of the path, which the model knows too, may have a negative weight.
    bounds = [(None, None), (0.0, None), (0.0, None), (None, None)] + [(0.0, None)] * vote.shape[1]
    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds)["x"]
    offset, slope, margin, end, *weights = map(float, found)
    line = Line(offset, slope, tuple(weights), tuple(map(float, usual)), end=end, margin=margin)
    return _fit_piecewise(line, x @ found, right)
