"""A category tree in a notebook."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from aisle.repr_html import card, folded, line

if TYPE_CHECKING:
    from aisle.taxonomy.tree import Taxonomy

_MOST_NODES = 300  # shown


def taxonomy_html(tree: "Taxonomy") -> str:
    """The number of categories, and a tree that unfolds; of a large tree its upper levels."""
    sizes = np.bincount(tree.node_depth)[1:].cumsum()
    depth = max(int((sizes <= _MOST_NODES).sum()), 1)  # levels that are shown
    terminals = (tree.span[:, 1] - tree.span[:, 0]).tolist()

    def branches(nodes: Iterable[int]) -> Markup:
        return Markup("").join(map(branch, nodes))

    def branch(node: int) -> Markup:
        name, children = tree.nodes[node].name, tree.children[node]
        if not children:
            return Markup('<div style="margin:1px 0 1px 26px">{}</div>').format(name)
        title = f"{name} ({terminals[node]:,})"
        if tree.node_depth[node] >= depth:
            return Markup('<div style="margin:1px 0 1px 26px">{} …</div>').format(title)
        return folded(title, branches(children))

    top = tree.level(1).tolist()
    left = len(top) - _MOST_NODES
    levels = ", ".join(f"{len(tree.level(k)):,} on level {k}" for k in range(1, tree.depth + 1))
    return card(
        f"Taxonomy: {len(tree.terminals):,} categories for products; {levels}",
        branches(top[:_MOST_NODES]),
        line(f"and {left:,} more") if left > 0 else "",
    )
