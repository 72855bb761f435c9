"""Evaluation of a classifier compared with a linear baseline: numbers and a page."""

from aisle.evaluation.compare_reports import compare_with_report, load_report
from aisle.evaluation.evaluate import evaluate, label_counts
from aisle.evaluation.result import Evaluation

__all__ = ["Evaluation", "compare_with_report", "evaluate", "label_counts", "load_report"]
