"""Rules that people write: they act after the model and before the decision. No torch here."""

from aisle.rules.apply import DecidedBatch, apply_rules
from aisle.rules.conditions import RulesError
from aisle.rules.ruleset import Ruleset

__all__ = ["DecidedBatch", "RulesError", "Ruleset", "apply_rules"]
