"""Drift: are new products still like those a model was calibrated on?"""

from aisle.evaluation.drift.profile import Profile, profile
from aisle.evaluation.drift.result import Drift
from aisle.evaluation.drift.run import compare_profiles, drift, reference_of, save_reference, trained_on

__all__ = [
    "Drift",
    "Profile",
    "compare_profiles",
    "drift",
    "profile",
    "reference_of",
    "save_reference",
    "trained_on",
]
