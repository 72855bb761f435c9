"""Auditing: which listings of a labelled catalogue are likely to be in the wrong category?"""

from aisle.evaluation.audit.correct import corrected, write_corrected
from aisle.evaluation.audit.result import Audit, Finding
from aisle.evaluation.audit.run import audit

__all__ = ["Audit", "Finding", "audit", "corrected", "write_corrected"]
