"""Shops whose truth is known: labels are drawn from the very probabilities a model reports, or distorts."""

import numpy as np

from aisle.taxonomy import Scores, Targets, Taxonomy

TREE = Taxonomy.from_paths(
    [(a, b, c) for a in "ABC" for b in "pqr" for c in "xyz"] + [("D", b) for b in "mn"] + [("D",), ("E",)]
)


def draw(rows, seed=0, tree=TREE, ease=4.0, sharpness=1.0):
    """Scores and targets of `rows` products.

    ease: how far apart the truth's probabilities lie on average; each product draws its own, and
    upper levels are easier. sharpness: the model reports the truth to this power (above 1 it is
    over-confident).
    """
    rng = np.random.default_rng(seed)
    logits = np.zeros((rows, len(tree.terminals)))
    for depth in range(tree.depth):
        ancestor = tree.ancestors[tree.terminals, depth]
        here = rng.normal(0, 2.0 ** (1 - depth), (rows, len(tree) + 1))
        logits += here[:, ancestor]
    logits *= rng.gamma(2.0, ease / 2, (rows, 1))
    label = (normal(logits).cumsum(1) < rng.random((rows, 1))).sum(1).clip(max=logits.shape[1] - 1)
    targets = Targets(tree.terminals[label], np.ones(rows, dtype=bool))
    logits *= sharpness
    return Scores(tree, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)), targets


def normal(logits):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)
