"""A fitted promise: calibration, limits and what was shown to hold, by node ids; and how it answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from aisle.guarantee.calibration import Calibration
from aisle.guarantee.confidence import Confidences
from aisle.guarantee.knn_calibration import Agreement
from aisle.guarantee.nearest import Nearest
from aisle.guarantee.ood import Novelty
from aisle.guarantee.path_confidence import Descent, descend
from aisle.guarantee.prediction import Prediction, Verdict
from aisle.guarantee.predictions import predictions
from aisle.guarantee.settings import Demands, PolicyError, Settings, subtree_end
from aisle.taxonomy import Scores, Taxonomy

NOTHING = -1.0  # a limit below every risk
FORMAT = 3  # 1 knew no neighbours: neither "novelty" nor "agreement"; 2 told strangers by other signs


class Rule(NamedTuple):
    """How one kind of answer is decided: where the risk is at most `limit`.

    The risk of naming a node is its cost times one minus its calibrated probability. verdict:
    `accept` or `partial`; level: of the node, 0 for all; precision: what was asked for there. floors:
    by top category's id, a stricter limit there. limit is below 0 when nothing is promised.
    """

    verdict: Verdict
    level: int
    precision: float
    limit: float
    floors: Mapping[str, float]


class Promise(NamedTuple):
    """What was tested, and how it came out.

    branch: a top category's id, "" for all together. holds: shown, with confidence 1 - delta.
    rows, errors: the automatic answers of this kind among the rows tested, and how many were wrong.
    needed: when it does not hold, about how many rows to threshold on would do; None if no number would.
    """

    verdict: Verdict
    level: int
    precision: float
    branch: str
    holds: bool
    rows: int
    errors: int
    needed: int | None


class Limits(NamedTuple):
    """A policy over the M nodes of one tree: the highest risk at which each may be answered."""

    accept: np.ndarray
    partial: np.ndarray
    cost: np.ndarray
    never: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Policy:
    """When to answer by itself, and what that promises.

    Over the draw of the rows it was fitted on, with probability at least 1 - delta: among products
    (drawn as those rows were) that it decides `accept`, at least `precision` have the right full path,
    and among those it decides `partial`, at least `precision` lie in the branch named. `promises` says
    for which kinds, and for which top categories (each taken alone), this was shown; an answer that
    nothing was shown for is never given. It carries ids, so it serves a reordered or grown tree; it
    answers nothing in categories that were not there when it was fitted.
    """

    settings: Settings = field(default_factory=Settings)
    calibration: Calibration = field(default_factory=Calibration)
    rules: tuple[Rule, ...] = ()
    promises: tuple[Promise, ...] = ()
    known: frozenset[str] = frozenset()
    novelty: Novelty | None = None
    agreement: Agreement | None = None

    @classmethod
    def uncalibrated(cls, taxonomy: Taxonomy) -> "Policy":
        """Promises nothing: every product is for review."""
        return cls(known=frozenset(node.id for node in taxonomy.nodes))

    # -- answering ----------------------------------------------------------------------------

    @property
    def asks_neighbours(self) -> bool:
        """Whether what neighbours say changes any answer."""
        return self.novelty is not None or self.agreement is not None

    def calibrate(self, scores: Scores) -> Scores:
        """(B, N) calibrated log-probabilities over the same tree, before what neighbours say; no child above
        its parent. What is shown to people are `confidences`."""
        return self.calibration.apply(scores)

    def confidences(self, scores: Scores, nearest: Nearest | None = None) -> Confidences:
        """The confidence of every category, from raw (uncalibrated) scores: the numbers that predictions,
        alternatives, suggestions, explanations and reports show.

        Raises:
            ValueError: no neighbours for a policy that was fitted with them.
        """
        return self._confidences(self.calibrate(scores), nearest)

    def _confidences(self, calibrated: Scores, nearest: Nearest | None) -> Confidences:
        before = descend(calibrated)
        return Confidences.of(calibrated, before, self._agreed(calibrated.taxonomy, before, nearest))

    def predict(
        self,
        ids: Sequence[str],
        scores: Scores,
        *,
        problems: Sequence[Sequence[str]] | None = None,
        present: np.ndarray | None = None,
        nearest: Nearest | None = None,
        model_id: str = "",
    ) -> list[Prediction]:
        """One prediction a row of raw (uncalibrated) scores, in order.

        problems: what was wrong with each product's row. present: (B,) False where no view was
        present at all; such a product is for review. nearest: from `Neighbours`, where the policy
        was fitted with it: a path that they share is surer; products that probably belong nowhere in the
        tree are for review.

        Raises:
            ValueError: too few or too many ids; no neighbours for a policy that was fitted with it.
        """
        if len(ids) != len(scores):
            raise ValueError(f"{len(ids)} ids for {len(scores)} rows of scores")
        calibrated = self.calibrate(scores)
        strange = self.strange(calibrated, nearest)
        empty = np.zeros(len(ids), dtype=bool) if present is None else ~np.asarray(present, dtype=bool)
        confidences = self._confidences(calibrated, nearest)
        return predictions(self, ids, confidences, empty, strange, problems, model_id)

    def strange(self, calibrated: Scores, nearest: Nearest | None) -> np.ndarray:
        """(B,) bool: products that probably belong nowhere in the tree.

        Raises:
            ValueError: no neighbours for a policy that was fitted with them.
        """
        if self.novelty is None:
            return np.zeros(len(calibrated), dtype=bool)
        return self.novelty.flagged(calibrated, _given(nearest))

    def descend(self, calibrated: Scores, nearest: Nearest | None = None) -> Descent:
        """The way down to each product's best terminal, and how sure each step is.

        Raises:
            ValueError: no neighbours for a policy that was fitted with them.
        """
        return self._agreed(calibrated.taxonomy, descend(calibrated), nearest)

    def _agreed(self, taxonomy: Taxonomy, descent: Descent, nearest: Nearest | None) -> Descent:
        if self.agreement is None:
            return descent
        return self.agreement.apply(taxonomy, descent, _given(nearest))

    def stops(self, taxonomy: Taxonomy, descent: Descent, held: np.ndarray | None = None) -> np.ndarray:
        """(B,) how many levels of the way down are decided: all of them is `accept`, 0 `review`.

        held: (B,) True where nothing may be decided.
        """
        stops = stopping(self.limits(taxonomy), descent)
        return stops if held is None else np.where(held, 0, stops)

    def decides(self, taxonomy: Taxonomy) -> bool:
        """Whether it answers anything by itself: a policy whose every limit is below 0 does not."""
        limits = self.limits(taxonomy)
        return bool((limits.accept >= 0).any() or (limits.partial >= 0).any())

    def limits(self, taxonomy: Taxonomy) -> Limits:
        """This policy over the nodes of one tree."""
        return _limits(_Key(self), taxonomy)

    # -- keeping ------------------------------------------------------------------------------

    def to_json(self) -> str:
        """One JSON object."""
        data = {
            "format": FORMAT,
            "settings": self.settings.to_dict(),
            "calibration": self.calibration.to_dict(),
            "rules": [rule._asdict() for rule in self.rules],
            "promises": [promise._asdict() for promise in self.promises],
            "known": sorted(self.known),
            "novelty": self.novelty.to_dict() if self.novelty else None,
            "agreement": self.agreement.to_dict() if self.agreement else None,
        }
        return json.dumps(data, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Policy":
        """Read back what `to_json` wrote.

        Raises:
            PolicyError: the text is something else, or was written by a newer version.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            if data["format"] > FORMAT:
                raise PolicyError(
                    f"this policy has format {data['format']}, newer than {FORMAT}: update aisle"
                )
            novelty = data.get("novelty")
            return cls(
                Settings.from_dict(data["settings"]),
                Calibration.from_dict(data["calibration"]),
                tuple(Rule(**rule) for rule in data["rules"]),
                tuple(Promise(**promise) for promise in data["promises"]),
                frozenset(data["known"]),
                Novelty.from_dict({"first": data["format"] < 3, **novelty}) if novelty else None,
                Agreement.from_dict(data["agreement"]) if data.get("agreement") else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PolicyError(f"not a saved policy: {error!r}") from error


def _given(nearest: Nearest | None) -> Nearest:
    if nearest is None:
        raise ValueError("this policy was fitted with what neighbours say: give `nearest` here too")
    return nearest


class _Key:
    """Hashes a policy by identity, for the cache of limits."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __hash__(self) -> int:
        return id(self.policy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.policy is self.policy


@lru_cache(maxsize=4)
def _limits(key: _Key, taxonomy: Taxonomy) -> Limits:
    policy = key.policy
    demands = policy.settings.on(taxonomy)
    known = np.array([node.id in policy.known for node in taxonomy.nodes])
    answerable = known & ~demands.never
    accept, partial = (np.full(len(taxonomy), NOTHING) for _ in range(2))
    for rule in policy.rules:
        onto = accept if rule.verdict == "accept" else partial
        mine = answerable & covers(rule.level, rule.precision, taxonomy, demands)
        onto[mine] = limits_by_node(taxonomy, rule.limit, rule.floors)[mine]
    accept[taxonomy.terminal_of < 0] = NOTHING
    return Limits(accept, partial, demands.cost, demands.never, known)


def covers(level: int, precision: float, taxonomy: Taxonomy, demands: Demands) -> np.ndarray:
    """(M,) which nodes a rule for this level (0: all) and this precision is about."""
    return (demands.precision == precision) & ((level == 0) | (taxonomy.node_depth == level))


def limits_by_node(taxonomy: Taxonomy, limit: float, floors: Mapping[str, float]) -> np.ndarray:
    """(M,) the limit everywhere, and the stricter of it and the floor in top categories that have one."""
    values = np.full(len(taxonomy), limit)
    for node_id, floor in floors.items():
        node = taxonomy.find(node_id)
        if node is not None:
            values[node : subtree_end(taxonomy, node)] = min(limit, floor)
    return values


def stopping(limits: Limits, descent: Descent) -> np.ndarray:
    """(B,) the deepest level whose risk is within its limit: the last is `accept`, any other `partial`."""
    rows = np.arange(len(descent.best))
    with np.errstate(invalid="ignore"):
        risk = limits.cost[descent.nodes] * (1 - descent.confidence)  # (B, L), NaN below the path's end
        fits = risk <= limits.partial[descent.nodes]
    last = descent.depth - 1
    fits[rows, last] = risk[rows, last] <= limits.accept[descent.best]
    levels = fits.shape[1]
    return np.where(fits.any(1), levels - fits[:, ::-1].argmax(1), 0)
