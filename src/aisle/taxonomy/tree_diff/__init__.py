"""Differences between two versions of a tree."""

from aisle.taxonomy.tree_diff.result import Change, TaxonomyDiff
from aisle.taxonomy.tree_diff.run import diff

__all__ = ["Change", "TaxonomyDiff", "diff"]
