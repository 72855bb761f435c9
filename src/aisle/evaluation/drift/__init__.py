"""Drift: are new products still like those a model was calibrated on?"""

from aisle.evaluation.drift.profile import Profile, profile
from aisle.evaluation.drift.result import Drift
from aisle.evaluation.drift.run import compared, drift, keep, reference_of, trained_on

__all__ = ["Drift", "Profile", "compared", "drift", "keep", "profile", "reference_of", "trained_on"]
