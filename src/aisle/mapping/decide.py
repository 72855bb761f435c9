"""Which mappings are decided: those above a threshold at which a precision is guaranteed on checked pairs."""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.optimize import minimize

from aisle.guarantee import clopper_pearson
from aisle.guarantee.exact_tests import binomial_p, reject_in_order, rows_for_certainty

_REFERENCE = Path(__file__).with_name("reference.json")
_STEPS = 24  # thresholds that are tested, by number of pairs above them
Basis = Literal["reference", "own"]


@dataclass(frozen=True)
class CheckedScores:
    """Checked pairs with confidences of a scorer that did not see them.

    Attributes:
        confidence: (N,).
        right: (N,) bool.
        basis: whether they are the user's own, or the public ones that are shipped.
    """

    confidence: np.ndarray
    right: np.ndarray
    basis: Basis

    @classmethod
    def shipped(cls, embedded: bool) -> "CheckedScores":
        """Public pairs (Shopify's mapping to Google's tree), each scored without its branch."""
        found = _reference()["embedded" if embedded else "lexical"]
        return cls(np.array(found["confidence"]), np.array(found["right"], bool), "reference")


@cache
def _reference() -> dict[str, dict[str, list[float]]]:
    return json.loads(_REFERENCE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class MappingGuarantee:
    """What holds for decided mappings.

    Attributes:
        precision: that was asked for.
        alpha: the probability that it does not hold, at most.
        threshold: confidence from which mappings are decided; infinite where nothing can be guaranteed.
        pairs: checked pairs above the threshold.
        errors: wrong ones among them.
        lower: exact lower limit of the share of right ones, at 1 - alpha (Clopper-Pearson).
        basis: the pairs that it rests on.
        needed: pairs without an error that the precision takes at least.
    """

    precision: float
    alpha: float
    threshold: float
    pairs: int
    errors: int
    lower: float
    basis: Basis
    needed: int

    @property
    def holds(self) -> bool:
        """Whether anything is decided."""
        return math.isfinite(self.threshold)

    @property
    def statement(self) -> str:
        """What is guaranteed, in a sentence."""
        if not self.holds and self.basis == "reference":
            return (
                "Nothing is decided: no pair of your tree is checked. Write a sample (--sample 300), fill it "
                "in, and name it (--checked FILE)."
            )
        if not self.holds:
            return (
                f"Nothing is decided: {self.precision:.0%} cannot be shown on the checked pairs "
                f"(at least {self.needed} without an error are needed)."
            )
        share = f"{self.pairs - self.errors:,} of {self.pairs:,} right, at least {self.lower:.1%}"
        if self.basis == "own":
            return (
                f"Decided mappings are right in {self.precision:.0%} or more: {share} on your checked pairs."
            )
        return (
            f"Decided from a confidence of {self.threshold:.2f}: {share} on public pairs (Shopify to "
            "Google). It holds for your tree as far as that is alike: check a sample of your own (--sample)."
        )


def find_threshold(checked: CheckedScores, precision: float, alpha: float = 0.05) -> MappingGuarantee:
    """The lowest threshold at which a precision can be shown.

    Thresholds are tested from strict to lenient, each with an exact binomial test, up to the first that fails
    (fixed-sequence testing, Learn then Test, arXiv 2110.01052): the probability that decided mappings are
    less precise than asked is at most alpha. Which thresholds are tested depends on confidences alone.

    Args:
        checked: pairs that the scorer did not see.
        precision: share of decided mappings that are right.
        alpha: the probability that it does not hold, at most.
    """
    needed = rows_for_certainty(precision, alpha)
    n = len(checked.confidence)
    nothing = MappingGuarantee(precision, alpha, math.inf, 0, 0, 0.0, checked.basis, needed)
    if n < needed:
        return nothing
    order = np.argsort(-checked.confidence, kind="stable")
    confidence, wrong = checked.confidence[order], np.cumsum(~checked.right[order])
    sizes = np.unique(np.linspace(min(2 * needed, n), n, _STEPS).astype(int))
    sizes = np.array([np.searchsorted(-confidence, -confidence[size - 1], "right") for size in sizes])
    p = binomial_p(wrong[sizes - 1], sizes, 1 - precision)
    passed = reject_in_order(p, alpha)
    if not passed:
        return nothing
    size = int(sizes[passed - 1])
    errors = int(wrong[size - 1])
    lower, _ = clopper_pearson(size - errors, size, 1 - alpha)
    return MappingGuarantee(
        precision, alpha, float(confidence[size - 1]), size, errors, lower, checked.basis, needed
    )


@dataclass(frozen=True)
class LogitCalibration:
    """Platt's calibration of probabilities: sigmoid(slope * logit(p) + offset)."""

    slope: float = 1.0
    offset: float = 0.0

    @classmethod
    def fit(cls, p: np.ndarray, right: np.ndarray) -> "LogitCalibration":
        """By maximum likelihood, with a weak prior at the identity; the slope stays positive."""
        x = _logit(p)

        def loss(w: np.ndarray) -> float:
            z = np.exp(w[0]) * x + w[1]
            return float(np.logaddexp(0, np.where(right, -z, z)).sum() + (w @ w) / 2)

        found = minimize(loss, np.zeros(2), method="Nelder-Mead").x
        return cls(float(np.exp(found[0])), float(found[1]))

    def __call__(self, p: np.ndarray) -> np.ndarray:
        """The calibrated probabilities."""
        return 1 / (1 + np.exp(-(self.slope * _logit(p) + self.offset)))


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))
