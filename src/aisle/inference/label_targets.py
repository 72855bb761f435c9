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
    given = catalog.targets()
    node, exact = np.full(len(given.node), -1), given.exact.copy()
    for own in np.unique(given.node[given.node >= 0]):
        rows = given.node == own
        label = catalog.taxonomy.nodes[own]
        found = taxonomy.find(label.path)
        found = taxonomy.find(label.id) if found is None else found
        if found is not None:
            node[rows] = found
            exact[rows] &= taxonomy.terminal_of[found] >= 0
            continue
        above = [taxonomy.find(label.path[:k]) for k in range(len(label.path) - 1, 0, -1)]
        node[rows] = next((a for a in above if a is not None), OUTSIDE)
        exact[rows] = True
    return Targets(node, exact)
