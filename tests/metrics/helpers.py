"""Random trees, scores and labels, and slow loops over plain paths to check the metrics against."""

import numpy as np

from aisle.metrics import Truth
from aisle.taxonomy import Scores, Taxonomy

PATHS = [
    ("A",), ("A", "x"), ("A", "y", "1"), ("A", "y", "2"), ("B",), ("C", "z"), ("C", "w", "3"), ("D", "v"),
]  # fmt: skip
TREE = Taxonomy.from_paths(PATHS)


def random_scores(rng, rows, tree=TREE):
    x = rng.normal(0, 2, (rows, len(tree.terminals)))
    return Scores(tree, x - np.logaddexp.reduce(x, axis=1, keepdims=True))


def random_truth(rng, rows, tree=TREE, width=3):
    """Labels of every kind: exact, known to a branch, with up to `width` acceptable places."""
    node = np.full((rows, width), -1)
    exact = np.zeros((rows, width), bool)
    for i in range(rows):
        for a in range(rng.integers(1, width + 1)):
            node[i, a] = rng.integers(len(tree))
            exact[i, a] = tree.terminal_of[node[i, a]] >= 0 and rng.random() < 0.7
    return Truth(tree, node, exact)


def places(truth, row):
    """[(path, exact), …] of one product."""
    return [
        (truth.taxonomy.nodes[n].path, bool(e))
        for n, e in zip(truth.node[row], truth.exact[row], strict=True)
        if n >= 0
    ]


def fits(path, place):
    label, exact = place
    return path == label if exact else path[: len(label)] == label


def common(a, b):
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


def judged_by_hand(truth, row, path):
    """(label path, right, shared) for one predicted path."""
    best = None
    for place in places(truth, row):
        key = (fits(path, place), common(path, place[0]))
        if best is None or key > best[0]:
            best = (key, place[0])
    return best[1], best[0][0], best[0][1]


def path_of(tree, node):
    return tree.nodes[int(node)].path


def node(*path, tree=TREE):
    return tree.index(path)
