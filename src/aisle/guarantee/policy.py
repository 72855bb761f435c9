"""A fitted guarantee: calibration, decision rules and what was shown of them, by node ids."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from aisle.guarantee.calibration import Calibration
from aisle.guarantee.confidence import Confidences
from aisle.guarantee.knn_calibration import KnnCalibration
from aisle.guarantee.label_gain import LabelGain
from aisle.guarantee.nearest import Nearest
from aisle.guarantee.ood import OodDetector
from aisle.guarantee.path_confidence import Descent, descend, margins
from aisle.guarantee.prediction import Prediction
from aisle.guarantee.predictions import predictions
from aisle.guarantee.rule import NEVER, Demand, Guarantee, OperatingPoint, gains, stopping
from aisle.guarantee.settings import PolicyError, Settings
from aisle.taxonomy import Scores, Taxonomy

FORMAT = 8


@dataclass(frozen=True)
class Policy:
    """When to decide automatically, and what is guaranteed of that.

    Over the draw of the rows it was fitted on, with probability at least 1 - alpha: among products (drawn as
    those rows were) that it decides `accept`, at least `precision` have the right full path, and among those
    it decides `partial`, at least `precision` lie in the branch named (docs/guarantee.md states the
    assumptions). `curve` has a rule for each of several precisions, `settings.precision` among them, and
    says what each decides; `label_gain`, what more labels would change. It carries ids, so it serves a
    reordered or grown tree; it decides nothing in categories that were not there when it was fitted.
    """

    settings: Settings = field(default_factory=Settings)
    calibration: Calibration = field(default_factory=Calibration)
    curve: tuple[OperatingPoint, ...] = ()
    known: frozenset[str] = frozenset()
    ood: OodDetector | None = None
    knn_calibration: KnnCalibration | None = None
    method: str = "hold-out"
    label_gain: LabelGain | None = None

    @classmethod
    def uncalibrated(cls, taxonomy: Taxonomy) -> "Policy":
        """Guarantees nothing: every product is for review."""
        return cls(known=frozenset(node.id for node in taxonomy.nodes))

    # -- the operating curve ------------------------------------------------------------------

    @property
    def point(self) -> OperatingPoint | None:
        """The point of the curve that decides: that of `settings.precision`."""
        return next((p for p in self.curve if p.precision == self.settings.precision), None)

    @property
    def guarantees(self) -> tuple[Guarantee, ...]:
        """What was tested at this point."""
        return self.point.guarantees if self.point else ()

    def at(self, precision: float) -> "Policy":
        """The same policy at another point of its curve: the lowest precision of at least this.

        Raises:
            PolicyError: there is no curve, no point of it is that precise, or this is no number from 0 to 1.
        """
        if not self.curve:
            raise PolicyError("this model is not calibrated: see `aisle calibrate`")
        if isinstance(precision, bool | str) or not 0 < precision < 1:
            raise PolicyError(f"precision is {precision!r}; give a number between 0 and 1, such as 0.9")
        found = [p.precision for p in self.curve if p.precision >= precision - 1e-9]
        if not found:
            known = ", ".join(f"{p.precision:g}" for p in self.curve)
            raise PolicyError(
                f"precision {precision:g} is above this model's curve: {known}; "
                f"`aisle calibrate --precision {precision:g}` with labelled rows fits it"
            )
        return replace(self, settings=replace(self.settings, precision=min(found)))

    # -- answering ----------------------------------------------------------------------------

    @property
    def uses_neighbors(self) -> bool:
        """Whether what neighbors say changes any answer."""
        return self.ood is not None or (
            self.knn_calibration is not None and self.knn_calibration.uses_neighbors
        )

    def calibrate(self, scores: Scores) -> Scores:
        """(B, N) calibrated log-probabilities over the same tree, before what neighbors say; no child above
        its parent. What is shown to people are `confidences`."""
        return self.calibration.apply(scores)

    def confidences(self, scores: Scores, nearest: Nearest | None = None) -> Confidences:
        """The confidence of every category, from raw (uncalibrated) scores: the numbers that predictions,
        alternatives, suggestions, explanations and reports show.

        Raises:
            ValueError: no neighbors for a policy that was fitted with them.
        """
        return self._confidences(scores, self.calibrate(scores), nearest)

    def _confidences(self, scores: Scores, calibrated: Scores, nearest: Nearest | None) -> Confidences:
        before = descend(calibrated)
        return Confidences.of(calibrated, before, self._recalibrated(scores, before, nearest))

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
        present at all; such a product is for review. nearest: from `NeighborIndex`, where the policy
        was fitted with it: a path that they share is surer; products that probably belong nowhere in the
        tree are for review.

        Raises:
            ValueError: too few or too many ids; no neighbors for a policy that was fitted with it.
        """
        if len(ids) != len(scores):
            raise ValueError(f"{len(ids)} ids for {len(scores)} rows of scores")
        empty = np.zeros(len(ids), dtype=bool) if present is None else ~np.asarray(present, dtype=bool)
        confidences, ood = self.confidences_and_ood(scores, nearest)
        return predictions(self, ids, confidences, empty, ood, problems, model_id)

    def confidences_and_ood(
        self, scores: Scores, nearest: Nearest | None = None
    ) -> tuple[Confidences, np.ndarray]:
        """`confidences`, and (B,) bool: the products that probably belong nowhere in the tree.

        Raises:
            ValueError: no neighbors for a policy that was fitted with them.
        """
        calibrated = self.calibrate(scores)
        return self._confidences(scores, calibrated, nearest), self.is_ood(calibrated, nearest)

    def is_ood(self, calibrated: Scores, nearest: Nearest | None) -> np.ndarray:
        """(B,) bool: products that probably belong nowhere in the tree.

        Raises:
            ValueError: no neighbors for a policy that was fitted with them.
        """
        if self.ood is None:
            return np.zeros(len(calibrated), dtype=bool)
        return self.ood.flagged(calibrated, _given(nearest))

    def descend(self, scores: Scores, nearest: Nearest | None = None) -> Descent:
        """The way down to each product's best terminal, and how sure each step is, from raw (uncalibrated)
        scores.

        Raises:
            ValueError: no neighbors for a policy that was fitted with them.
        """
        return self._recalibrated(scores, descend(self.calibrate(scores)), nearest)

    def _recalibrated(self, scores: Scores, descent: Descent, nearest: Nearest | None) -> Descent:
        if self.knn_calibration is None:
            return descent
        return self.knn_calibration.apply(scores.taxonomy, descent, margins(scores, descent), nearest)

    def stops(self, taxonomy: Taxonomy, descent: Descent, held: np.ndarray | None = None) -> np.ndarray:
        """(B,) how many levels of the path are decided: all of them is `accept`, 0 `review`.

        held: (B,) True where nothing may be decided.
        """
        stops = stopping(self.gains(taxonomy, descent))
        return stops if held is None else np.where(held, 0, stops)

    def gains(self, taxonomy: Taxonomy, descent: Descent) -> np.ndarray:
        """(B, L) what deciding down to each level gains (`aisle.guarantee.rule`)."""
        point = self.point
        accept, partial = (NEVER, NEVER) if point is None else (point.accept, point.partial)
        return gains(self.demand(taxonomy), taxonomy, descent, accept, partial)

    def decides(self, taxonomy: Taxonomy) -> bool:
        """Whether it decides anything automatically."""
        point = self.point
        if point is None or min(point.accept, point.partial) == NEVER:
            return False
        return bool(self.demand(taxonomy).allowed.any())

    def demand(self, taxonomy: Taxonomy) -> Demand:
        """What this policy asks at the nodes of one tree."""
        return _demand(_Key(self), taxonomy)

    # -- keeping ------------------------------------------------------------------------------

    def to_json(self) -> str:
        """One JSON object."""
        data = {
            "format": FORMAT,
            "settings": self.settings.to_dict(),
            "calibration": self.calibration.to_dict(),
            "method": self.method,
            "label_gain": self.label_gain._asdict() if self.label_gain else None,
            "curve": [point.to_dict() for point in self.curve],
            "known": sorted(self.known),
            "ood": self.ood.to_dict() if self.ood else None,
            "knn_calibration": self.knn_calibration.to_dict() if self.knn_calibration else None,
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
            if data["format"] != FORMAT:
                raise PolicyError(
                    f"this policy has format {data['format']}, and {FORMAT} is read: train or calibrate again"
                )
            ood, knn_calibration = data["ood"], data["knn_calibration"]
            return cls(
                Settings.from_dict(data["settings"]),
                Calibration.from_dict(data["calibration"]),
                tuple(map(OperatingPoint.from_dict, data["curve"])),
                frozenset(data["known"]),
                OodDetector.from_dict(ood) if ood else None,
                KnnCalibration.from_dict(knn_calibration) if knn_calibration else None,
                str(data["method"]),
                LabelGain.from_dict(data["label_gain"]) if data["label_gain"] else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PolicyError(f"not a saved policy: {error!r}") from error


def _given(nearest: Nearest | None) -> Nearest:
    if nearest is None:
        raise ValueError("this policy was fitted with neighbors: give `nearest` here too")
    return nearest


class _Key:
    """Hashes a policy by identity, for the cache of demands."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __hash__(self) -> int:
        return id(self.policy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.policy is self.policy


@lru_cache(maxsize=4)
def _demand(key: _Key, taxonomy: Taxonomy) -> Demand:
    known = np.array([node.id in key.policy.known for node in taxonomy.nodes])
    return Demand.of(key.policy.settings, taxonomy, known)
