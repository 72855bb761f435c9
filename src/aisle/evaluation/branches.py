"""Where in the tree things go right and wrong: every node, and pairs of branches mistaken for each other."""

from collections import Counter

import numpy as np

from aisle.evaluation.scores import Confusion, Matrix, NodeScore
from aisle.metrics import MatchedPredictions
from aisle.taxonomy import Taxonomy

CONFUSIONS = 30
MATRIX = 40  # more top categories than this make no readable table


def node_scores(
    judged: MatchedPredictions, train: np.ndarray | None, accepted: np.ndarray | None = None
) -> tuple[NodeScore, ...]:
    """Every node with a labelled or an answered product, in tree order.

    train: (M,) training products below each node. accepted: (B,) whose full path was decided on.
    """
    tree = judged.taxonomy
    true, answer = tree.ancestors[judged.node], tree.ancestors[judged.answer]  # (B, L)
    products = _tally(tree, true)
    found = _tally(tree, true[(true == answer) & (true >= 0)])
    predicted = _tally(tree, answer)
    full = _tally(tree, true[judged.right])
    sure = None if accepted is None else _tally(tree, true[accepted])
    return tuple(
        NodeScore(
            id=tree.nodes[i].id,
            path=tree.nodes[i].path,
            train=None if train is None else int(train[i]),
            products=int(products[i]),
            accuracy=_share(found[i], products[i]),
            path_accuracy=_share(full[i], products[i]),
            predicted=int(predicted[i]),
            precision=_share(found[i], predicted[i]),
            coverage=None if sure is None else _share(sure[i], products[i]),
        )
        for i in np.flatnonzero((products > 0) | (predicted > 0))
    )


def confusions(judged: MatchedPredictions, most: int = CONFUSIONS) -> tuple[Confusion, ...]:
    """The pairs of sibling branches most often mistaken, each error counted once, where its paths part."""
    tree = judged.taxonomy
    support = Counter(int(n) for n in tree.ancestors[judged.node].ravel() if n >= 0)
    pairs: Counter[tuple[int, int, int]] = Counter()
    for row in np.flatnonzero(~judged.right):
        depth = int(judged.shared[row]) + 1
        label, answer = int(judged.node[row]), int(judged.predicted[row])
        pairs[depth, _cut(tree, label, depth), _cut(tree, answer, depth)] += 1
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:most]
    return tuple(
        Confusion(
            level=depth, true=tree.nodes[a].path, predicted=tree.nodes[b].path, count=n, share=n / support[a]
        )
        for (depth, a, b), n in ranked
    )


def matrix(judged: MatchedPredictions, most: int = MATRIX) -> Matrix | None:
    """Top categories against top categories; None where there are more than `most`, or only one."""
    tree = judged.taxonomy
    true, answer = tree.ancestors[judged.node, 0], tree.ancestors[judged.predicted, 0]
    tops = np.unique(np.concatenate([true, answer]))
    if not 1 < len(tops) <= most:
        return None
    counts = np.zeros((len(tops), len(tops)), dtype=np.int64)
    np.add.at(counts, (np.searchsorted(tops, true), np.searchsorted(tops, answer)), 1)
    names = tuple(tree.nodes[i].name for i in tops)
    return Matrix(names=names, counts=tuple(tuple(row) for row in counts.tolist()))


def below(tree: Taxonomy, at: np.ndarray) -> np.ndarray:
    """(M,) sums over each node and everything below it, of numbers (M,) at the nodes themselves."""
    total = at.copy()
    for i in range(len(tree) - 1, -1, -1):
        if tree.parent[i] >= 0:
            total[tree.parent[i]] += total[i]
    return total


def _cut(tree: Taxonomy, node: int, depth: int) -> int:
    ancestor = int(tree.ancestors[node, depth - 1]) if depth <= tree.depth else -1
    return ancestor if ancestor >= 0 else node


def _tally(tree: Taxonomy, nodes: np.ndarray) -> np.ndarray:
    return np.bincount(nodes[nodes >= 0].ravel(), minlength=len(tree))


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
