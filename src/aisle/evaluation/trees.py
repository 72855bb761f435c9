"""The tree of an evaluation: the model's, extended by labels that it lacks.

No prediction can be right for a label outside the model's tree. The label counts in averages as in
scikit-learn, and a prediction in its branch counts in hierarchical scores.
"""

from collections.abc import Iterable

import numpy as np

from aisle.guarantee import Confidences
from aisle.taxonomy import Node, Scores, Taxonomy, format_path


def locate(node: Node, tree: Taxonomy) -> int | None:
    """The same category in another tree: by path, else by id (a category that was renamed or moved)."""
    node_index = tree.find(node.path)
    return node_index if node_index is not None else tree.find(node.id)


def extend_tree(tree: Taxonomy, others: Iterable[Node]) -> Taxonomy:
    """`tree` extended by the `others` that it lacks."""
    missing: dict[tuple[str, ...], Node] = {}
    for node in others:
        if locate(node, tree) is None:
            missing.setdefault(node.path, node)
    if not missing:
        return tree
    ids = {node.id for node in tree.nodes} | set(tree.aliases)
    added = []
    for node in missing.values():
        new_id = format_path(node.path)
        while new_id in ids:
            new_id += "*"
        ids.add(new_id)
        added.append(Node(new_id, node.path))
    return Taxonomy([*tree.nodes, *added], tree.aliases)


def extend_scores(scores: Scores, tree: Taxonomy) -> Scores:
    """The same scores over an extended tree; added categories have probability 0."""
    if scores.taxonomy is tree:
        return scores
    source = scores.taxonomy
    if isinstance(scores, Confidences):
        return scores.over(tree, np.array([locate(node, tree) for node in source.nodes], dtype=np.int64))
    terminals = np.array([locate(source.nodes[t], tree) for t in source.terminals], dtype=np.int64)
    logp = np.full((len(scores), len(tree.terminals)), -np.inf, dtype=scores.all().dtype)
    logp[:, tree.terminal_of[terminals]] = scores.all()
    return Scores(tree, logp)
