"""The tree: nodes with stable ids, terminals, lineage, and log-probabilities over it."""

from typing import TYPE_CHECKING, Any

from aisle.taxonomy.entries import TreeFile, TreeProblem
from aisle.taxonomy.readers import ReadTree, read_taxonomy, read_tree, read_tree_file
from aisle.taxonomy.scores import Scores, Targets, TopK
from aisle.taxonomy.tree import DELIMITER, CategoryPath, Node, Taxonomy, format_path

if TYPE_CHECKING:
    from aisle.taxonomy.tree_diff import Change, TaxonomyDiff, diff

__all__ = [
    "DELIMITER",
    "CategoryPath",
    "Change",
    "Node",
    "ReadTree",
    "Scores",
    "Targets",
    "Taxonomy",
    "TaxonomyDiff",
    "TopK",
    "TreeFile",
    "TreeProblem",
    "diff",
    "format_path",
    "read_taxonomy",
    "read_tree",
    "read_tree_file",
]


def __getattr__(name: str) -> Any:
    """Import what compares trees when it is first used: it needs scipy."""
    if name in ("Change", "TaxonomyDiff", "diff"):
        from aisle.taxonomy import tree_diff

        return getattr(tree_diff, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
