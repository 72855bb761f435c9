"""Checks of a category tree: names, sizes, depth, leaves that models confuse, and catch-all categories."""

from aisle.evaluation.tree_check.findings import KINDS, TreeFinding
from aisle.evaluation.tree_check.run import TreeCheck, TreeLimits, check_tree

__all__ = ["KINDS", "TreeCheck", "TreeFinding", "TreeLimits", "check_tree"]
