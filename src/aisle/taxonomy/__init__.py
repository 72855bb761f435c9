"""The tree: nodes with stable ids, terminals, lineage, and log-probabilities over it."""

from aisle.taxonomy.entries import TreeFile, TreeProblem
from aisle.taxonomy.readers import ReadTree, read_taxonomy, read_tree, read_tree_file
from aisle.taxonomy.scores import Scores, Targets, TopK
from aisle.taxonomy.tree import DELIMITER, CategoryPath, Node, Taxonomy, format_path

__all__ = [
    "DELIMITER",
    "CategoryPath",
    "Node",
    "ReadTree",
    "Scores",
    "Targets",
    "Taxonomy",
    "TopK",
    "TreeFile",
    "TreeProblem",
    "format_path",
    "read_taxonomy",
    "read_tree",
    "read_tree_file",
]
