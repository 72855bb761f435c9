"""Judging: what a classifier gets right, where, and beside what; as numbers and as a page."""

from aisle.evaluation.compare_reports import earlier, put_beside
from aisle.evaluation.evaluate import evaluate, label_counts
from aisle.evaluation.result import Evaluation

__all__ = ["Evaluation", "earlier", "evaluate", "label_counts", "put_beside"]
