"""Scores of every category, and pairs of categories that are confused."""

from collections import Counter

import numpy as np

from aisle.evaluation.scores import Confusion, Matrix, NodeScore
from aisle.metrics import MatchedPredictions
from aisle.taxonomy import Taxonomy

CONFUSIONS = 30
MATRIX = 40  # level-1 categories of a readable table


def node_scores(
    matched: MatchedPredictions, train: np.ndarray | None, accepted: np.ndarray | None = None
) -> tuple[NodeScore, ...]:
    """Scores of every node with a labelled or predicted product, in tree order.

    Args:
        matched: The predictions for B products, matched with the labels.
        train: (M,) training products at or below each node; None if unknown.
        accepted: (B,) bool: the full path was accepted; None if the classifier decides nothing.
    """
    tree = matched.taxonomy
    true, predicted_ = tree.ancestors[matched.node], tree.ancestors[matched.answer]  # (B, L)
    products = _count(tree, true)
    correct = _count(tree, true[(true == predicted_) & (true >= 0)])
    predicted = _count(tree, predicted_)
    path_correct = _count(tree, true[matched.right])
    accepted_ = None if accepted is None else _count(tree, true[accepted])
    return tuple(
        NodeScore(
            id=tree.nodes[i].id,
            path=tree.nodes[i].path,
            train=None if train is None else int(train[i]),
            products=int(products[i]),
            accuracy=_share(correct[i], products[i]),
            path_accuracy=_share(path_correct[i], products[i]),
            predicted=int(predicted[i]),
            precision=_share(correct[i], predicted[i]),
            coverage=None if accepted_ is None else _share(accepted_[i], products[i]),
        )
        for i in np.flatnonzero((products > 0) | (predicted > 0))
    )


def confusions(matched: MatchedPredictions) -> tuple[Confusion, ...]:
    """The most frequent confusions of sibling branches; each error counts where its paths part."""
    tree = matched.taxonomy
    support = Counter(int(n) for n in tree.ancestors[matched.node].ravel() if n >= 0)
    pairs: Counter[tuple[int, int, int]] = Counter()
    for row in np.flatnonzero(~matched.right):
        depth = int(matched.shared[row]) + 1
        label, predicted_ = int(matched.node[row]), int(matched.predicted[row])
        pairs[depth, _ancestor_at(tree, label, depth), _ancestor_at(tree, predicted_, depth)] += 1
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    return tuple(
        Confusion(
            level=depth, true=tree.nodes[a].path, predicted=tree.nodes[b].path, count=n, share=n / support[a]
        )
        for (depth, a, b), n in ranked
    )


def matrix(matched: MatchedPredictions) -> Matrix | None:
    """The confusion matrix of level 1; None if there are more than `MATRIX` categories, or only one."""
    tree = matched.taxonomy
    true, predicted_ = tree.ancestors[matched.node, 0], tree.ancestors[matched.predicted, 0]
    level1 = np.unique(np.concatenate([true, predicted_]))
    if not 1 < len(level1) <= MATRIX:
        return None
    counts = np.zeros((len(level1), len(level1)), dtype=np.int64)
    np.add.at(counts, (np.searchsorted(level1, true), np.searchsorted(level1, predicted_)), 1)
    names = tuple(tree.nodes[i].name for i in level1)
    return Matrix(names=names, counts=tuple(tuple(row) for row in counts.tolist()))


def subtree_sums(tree: Taxonomy, values: np.ndarray) -> np.ndarray:
    """(M,) sums over each node and its descendants, of numbers (M,) of the nodes."""
    total = values.copy()
    for i in range(len(tree) - 1, -1, -1):
        if tree.parent[i] >= 0:
            total[tree.parent[i]] += total[i]
    return total


def _ancestor_at(tree: Taxonomy, node: int, depth: int) -> int:
    ancestor = int(tree.ancestors[node, depth - 1]) if depth <= tree.depth else -1
    return ancestor if ancestor >= 0 else node


def _count(tree: Taxonomy, nodes: np.ndarray) -> np.ndarray:
    return np.bincount(nodes[nodes >= 0].ravel(), minlength=len(tree))


def _share(count: int, total: int) -> float | None:
    return float(count / total) if total else None
