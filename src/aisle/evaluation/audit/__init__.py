"""Auditing: which listings of a labelled catalog are likely to be in the wrong category?"""

from aisle.evaluation.audit.correct import corrected, write_corrected
from aisle.evaluation.audit.result import Audit, AuditFinding
from aisle.evaluation.audit.run import audit

__all__ = ["Audit", "AuditFinding", "audit", "corrected", "write_corrected"]
