"""Promising: calibration, where to stop, thresholds with guarantees. No torch here."""

from aisle.decision.agreement import Agreement
from aisle.decision.calibration import Calibration
from aisle.decision.confidence import Confidences
from aisle.decision.curves import Curve, Curves, Kept, curves
from aisle.decision.descent import OUTSIDE
from aisle.decision.fit import Sample, fit
from aisle.decision.guarantee import clopper_pearson
from aisle.decision.neighbours import Nearest, Neighbours
from aisle.decision.policy import Policy, Promise, Rule
from aisle.decision.prediction import Alternative, Prediction, Verdict
from aisle.decision.settings import PolicyError, Settings
from aisle.decision.unknown import Novelty

__all__ = [
    "OUTSIDE",
    "Agreement",
    "Alternative",
    "Calibration",
    "Confidences",
    "Curve",
    "Curves",
    "Kept",
    "Nearest",
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
