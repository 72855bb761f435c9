"""One tree to judge in: the model's, widened by labels it has never heard of.

A label outside the model's tree stays a label: no answer can be right there, it counts in every
average as it would in scikit-learn, and a near miss in its branch still earns hierarchical credit.
"""

from collections.abc import Iterable

import numpy as np

from aisle.guarantee import Confidences
from aisle.taxonomy import Node, Scores, Taxonomy, format_path


def locate(node: Node, tree: Taxonomy) -> int | None:
    """The same category in another tree: by path, else by id (a category that was renamed or moved)."""
    found = tree.find(node.path)
    return found if found is not None else tree.find(node.id)


def widen(tree: Taxonomy, others: Iterable[Node]) -> Taxonomy:
    """`tree` with those of the `others` that it lacks; itself where it lacks none."""
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


def carry(scores: Scores, tree: Taxonomy) -> Scores:
    """The same answers over a wider tree: what `scores` cannot name has probability 0."""
    if scores.taxonomy is tree:
        return scores
    own = scores.taxonomy
    if isinstance(scores, Confidences):
        return scores.over(tree, np.array([locate(node, tree) for node in own.nodes], dtype=np.int64))
    terminals = np.array([locate(own.nodes[t], tree) for t in own.terminals], dtype=np.int64)
    logp = np.full((len(scores), len(tree.terminals)), -np.inf, dtype=scores.all().dtype)
    logp[:, tree.terminal_of[terminals]] = scores.all()
    return Scores(tree, logp)
