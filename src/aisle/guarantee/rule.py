"""The decision rule: how much a decision is worth against how wrong it may be.

Deciding a product down to a node gains `utility - price * (risk - allowed)`. The risk is the cost of a
mistake there times one minus the node's confidence; allowed is one minus the precision asked for. The product
is decided at the node of highest gain on its most probable path, if that gain is positive; else it is left
for review. Under a limit on the share of mistakes this is the best rule for a calibrated model: the price is
the limit's Lagrange multiplier. There is one price for full paths and one for branches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from aisle.guarantee.path_confidence import Descent
from aisle.guarantee.prediction import Verdict
from aisle.guarantee.settings import Settings
from aisle.taxonomy import Taxonomy

NEVER = float("inf")  # a price at which nothing is decided
CURVE = (0.99, 0.98, 0.95, 0.9, 0.85, 0.8)  # precisions of the operating curve
Prefer = Literal["depth", "coverage"]
_UTILITY: dict[str, tuple[float, float]] = {"depth": (0.1, 0.3), "coverage": (0.8, 0.1)}


@dataclass(frozen=True)
class Demand:
    """What is asked of decisions at the M nodes of one tree.

    alpha: (M,) the share of mistakes allowed. cost: (M,) of a mistake. allowed: (M,) bool, whether it may be
    decided automatically. precision: asked for in general.
    """

    precision: float
    alpha: np.ndarray
    cost: np.ndarray
    allowed: np.ndarray
    prefer: str

    @classmethod
    def of(cls, settings: Settings, taxonomy: Taxonomy, known: np.ndarray | None = None) -> "Demand":
        """known: (M,) bool, nodes that were in the tree when the policy was fitted; all by default."""
        asked = settings.on(taxonomy)
        allowed = ~asked.never if known is None else known & ~asked.never
        return cls(settings.precision, 1 - asked.precision, asked.cost, allowed, settings.prefer)

    def utility(self, level: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Of a branch that ends at `level` of a path of `depth` levels; a full path's is 1."""
        base, slope = _UTILITY[self.prefer]
        return base + slope * level / depth


class Guarantee(NamedTuple):
    """What was tested, and how it came out.

    branch: a top category's id, "" for all together. holds: shown, with confidence 1 - alpha. rows, errors:
    the automatic decisions of this kind among the rows tested, and how many were wrong. needed: when nothing
    of this kind is decided, about how many labelled rows would do; None if no number would.
    """

    verdict: Verdict
    precision: float
    branch: str
    holds: bool
    rows: int
    errors: int
    needed: int | None


class OperatingPoint(NamedTuple):
    """One point of the curve: a precision, the rule that keeps it, and what it decides.

    accept, partial: prices of full paths and of branches, NEVER where nothing is guaranteed. full: share of
    the rows given a full path; branch: shares given a branch that ends at level 1, 2, ….
    """

    precision: float
    accept: float
    partial: float
    guarantees: tuple[Guarantee, ...]
    rows: int
    full: float
    branch: tuple[float, ...]

    @property
    def decided(self) -> float:
        """Share of the rows decided automatically."""
        return self.full + sum(self.branch)

    @property
    def review(self) -> float:
        """Share of the rows left for review."""
        return max(0.0, 1.0 - self.decided)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers; NEVER becomes None."""
        prices = {
            name: None if getattr(self, name) == NEVER else getattr(self, name)
            for name in ("accept", "partial")
        }
        guarantees = [one._asdict() for one in self.guarantees]
        return {**self._asdict(), **prices, "guarantees": guarantees, "branch": list(self.branch)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "OperatingPoint":
        """Read back what `to_dict` wrote."""
        prices = {name: NEVER if data[name] is None else float(data[name]) for name in ("accept", "partial")}
        guarantees = tuple(Guarantee(**one) for one in data["guarantees"])
        return cls(**{**data, **prices, "guarantees": guarantees, "branch": tuple(data["branch"])})


def gains(demand: Demand, taxonomy: Taxonomy, descent: Descent, accept: float, partial: float) -> np.ndarray:
    """(B, L) what deciding each product down to each level gains; -inf where that may not be."""
    nodes, depth = descent.nodes, descent.depth[:, None]
    level = np.arange(nodes.shape[1])[None] + 1
    last = level == depth
    prices = np.where(last, accept, partial)
    may = (
        (nodes >= 0)
        & demand.allowed[nodes]
        & (~last | (taxonomy.terminal_of[nodes] >= 0))
        & np.isfinite(prices)
    )
    with np.errstate(invalid="ignore"):
        alpha = demand.alpha[nodes]
        # Relative to what is allowed, so that one price serves several precisions.
        excess = (demand.cost[nodes] * (1 - descent.confidence) - alpha) / alpha * (1 - demand.precision)
        gain = np.where(last, 1.0, demand.utility(level, depth)) - prices * excess
    return np.where(may, gain, -np.inf)


def stopping(gain: np.ndarray) -> np.ndarray:
    """(B,) levels decided: that of the highest gain (B, L), 0 where none is positive."""
    if not gain.size:
        return np.zeros(len(gain), np.int64)
    return np.where(gain.max(1) > 0, gain.argmax(1) + 1, 0)
