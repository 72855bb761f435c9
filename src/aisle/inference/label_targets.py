"""Maps a catalog's labels to the nodes of a model's tree. No torch here."""

import numpy as np

from aisle.data import Catalog
from aisle.guarantee import OUTSIDE
from aisle.taxonomy import Targets, Taxonomy


def targets_in(taxonomy: Taxonomy, catalog: Catalog) -> Targets:
    """Where a catalog's rows belong in a model's tree, which may be another than their own.

    A label below the end of the tree becomes the deepest node above it, exact, so that no full path is
    right; one that has nothing above it in the tree is OUTSIDE.
    """
    targets = catalog.targets()
    node, exact = np.full(len(targets.node), -1), targets.exact.copy()
    for source_node in np.unique(targets.node[targets.node >= 0]):
        rows = targets.node == source_node
        label = catalog.taxonomy.nodes[source_node]
        target = taxonomy.find(label.path)
        target = taxonomy.find(label.id) if target is None else target
        if target is not None:
            node[rows] = target
            exact[rows] &= taxonomy.terminal_of[target] >= 0
            continue
        above = [taxonomy.find(label.path[:k]) for k in range(len(label.path) - 1, 0, -1)]
        node[rows] = next((a for a in above if a is not None), OUTSIDE)
        exact[rows] = True
    return Targets(node, exact)
