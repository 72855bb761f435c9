"""Promising: calibration, where to stop, thresholds with guarantees. No torch here."""

from aisle.decision.prediction import Alternative, Prediction, Verdict

__all__ = ["Alternative", "Prediction", "Verdict"]
