"""Promising: calibration, where to stop, thresholds with guarantees. No torch here."""

from aisle.decision.calibration import Calibration
from aisle.decision.curves import Curve, Curves, Kept, curves
from aisle.decision.descent import OUTSIDE
from aisle.decision.fit import Sample, fit
from aisle.decision.guarantee import clopper_pearson
from aisle.decision.policy import Policy, Promise, Rule
from aisle.decision.prediction import Alternative, Prediction, Verdict
from aisle.decision.settings import PolicyError, Settings
from aisle.decision.unknown import Neighbours, Novelty

__all__ = [
    "OUTSIDE",
    "Alternative",
    "Calibration",
    "Curve",
    "Curves",
    "Kept",
    "Neighbours",
    "Novelty",
    "Policy",
    "PolicyError",
    "Prediction",
    "Promise",
    "Rule",
    "Sample",
    "Settings",
    "Verdict",
    "clopper_pearson",
    "curves",
    "fit",
]
