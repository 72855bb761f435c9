"""The tree: nodes with stable ids, terminals, lineage, and log-probabilities over it."""

from aisle.taxonomy.scores import Scores, Targets, TopK
from aisle.taxonomy.tree import DELIMITER, CategoryPath, Node, Taxonomy, format_path

__all__ = ["DELIMITER", "CategoryPath", "Node", "Scores", "Targets", "Taxonomy", "TopK", "format_path"]
