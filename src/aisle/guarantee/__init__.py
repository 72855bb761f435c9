"""Calibration, decisions with guaranteed precision, and their measurement. Does not use PyTorch."""

from aisle.guarantee.calibration import Calibration
from aisle.guarantee.confidence import Confidences
from aisle.guarantee.curve_summary import CurveSummary, PointSummary, chosen_labels, summarize_curve
from aisle.guarantee.exact_tests import clopper_pearson
from aisle.guarantee.fit import Sample, cross_fit, fit
from aisle.guarantee.knn_calibration import KnnCalibration
from aisle.guarantee.label_gain import LabelGain
from aisle.guarantee.nearest import Nearest, NeighborIndex
from aisle.guarantee.ood import OodDetector
from aisle.guarantee.path_confidence import OUTSIDE
from aisle.guarantee.policy import Policy
from aisle.guarantee.prediction import Alternative, Prediction, Verdict
from aisle.guarantee.prediction_list import Predictions
from aisle.guarantee.risk_coverage import Curve, Curves, GuaranteeOutcome, risk_coverage
from aisle.guarantee.rule import CURVE, Guarantee, OperatingPoint
from aisle.guarantee.settings import PolicyError, Settings

__all__ = [
    "CURVE",
    "OUTSIDE",
    "Alternative",
    "Calibration",
    "Confidences",
    "Curve",
    "CurveSummary",
    "Curves",
    "Guarantee",
    "GuaranteeOutcome",
    "KnnCalibration",
    "LabelGain",
    "Nearest",
    "NeighborIndex",
    "OodDetector",
    "OperatingPoint",
    "PointSummary",
    "Policy",
    "PolicyError",
    "Prediction",
    "Predictions",
    "Sample",
    "Settings",
    "Verdict",
    "chosen_labels",
    "clopper_pearson",
    "cross_fit",
    "fit",
    "risk_coverage",
    "summarize_curve",
]
