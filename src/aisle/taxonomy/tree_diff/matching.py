"""One-to-one matching of the nodes of two trees without common ids.

Equal paths match first. Other nodes become candidates by similar names, by matched parents and children, and
by common products. A logistic model gives each candidate pair a probability, from its name, the names above
and below it, what is matched around it and its products; the assignment of the highest total probability is
taken, three times, since each round tells more about parents and children.

Shapes: M old and M' new nodes, P candidate pairs.
"""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from aisle.taxonomy.tree import Taxonomy
from aisle.taxonomy.tree_diff.names import NameVectors, folded, folded_path, most_similar, pair_cosine

SAME_PATH = 0.99  # probability of two nodes with the same path
ACCEPTED = 0.5  # least probability of a match
_ROUNDS = 3
_SIMILAR = 8  # candidates of each node by name
_MAX_CHILDREN = 60  # unmatched children of a matched parent that are all compared
_MAX_ASSIGNED = 1500  # nodes on a side of a component that are assigned at once

# The mean of a logistic regression on simulated histories of Google's and Best Buy's trees, ids hidden
# (benchmarks/tree_histories.py), and of weights chosen by hand, for changes that are not simulated.
WEIGHTS = {
    "bias": -6.0, "name": 3.0, "same_name": 5.8, "common_words": 2.8, "parent_agrees": 1.3,
    "parent_differs": -3.2, "above": 1.8, "below": 3.0, "below_differs": -2.6, "children_agree": 8.0,
    "only_left": 1.8, "products": 8.0, "no_common_product": -3.0,
}  # fmt: skip


class TreePair(NamedTuple):
    """The pair of trees and the evidence for matches.

    Attributes:
        old: the earlier tree.
        new: the later tree.
        vectors: their names.
        products: (M, M') number of products that are at or below both nodes; None without products.
    """

    old: Taxonomy
    new: Taxonomy
    vectors: NameVectors
    products: Any

    def swapped(self) -> "TreePair":
        """The same with the trees exchanged."""
        products = None if self.products is None else self.products.T.tocsr()
        return TreePair(self.new, self.old, self.vectors.swapped(), products)


class Matches(NamedTuple):
    """A one-to-one matching.

    Attributes:
        new_of: (M,) the new node of each old one, -1 without one.
        old_of: (M',) the old node of each new one, -1 without one.
        probability: (M,) of the match.
        same_path: (M,) bool, whether it was matched by its path.
    """

    new_of: np.ndarray
    old_of: np.ndarray
    probability: np.ndarray
    same_path: np.ndarray

    def reversed(self) -> "Matches":
        """The same from the new tree to the old one."""
        is_matched = self.old_of >= 0
        probability = np.where(is_matched, self.probability[self.old_of], 0.0)
        return Matches(self.old_of, self.new_of, probability, is_matched & self.same_path[self.old_of])


def match(evidence: TreePair) -> Matches:
    """Match the nodes of two trees by their paths, names, surroundings and products."""
    old, new = evidence.old, evidence.new
    fixed = _same_paths(old, new)
    matches = fixed
    for _ in range(_ROUNDS):
        rows, columns = _candidates(evidence, fixed, matches)
        if not len(rows):
            return fixed
        probability = pair_probability(evidence, matches, rows, columns)
        likely = probability >= ACCEPTED
        chosen = _assign(rows[likely], columns[likely], probability[likely])
        last, matches = (
            matches,
            _with(fixed, rows[likely][chosen], columns[likely][chosen], probability[likely][chosen]),
        )
        if np.array_equal(last.new_of, matches.new_of):
            break
    return matches


def _same_paths(old: Taxonomy, new: Taxonomy) -> Matches:
    """The matches by path: as it is written, then folded where that is unique."""
    new_of, old_of = np.full(len(old), -1), np.full(len(new), -1)
    for i, node in enumerate(old.nodes):
        other = new.find(node.path)
        if other is not None:
            new_of[i], old_of[other] = other, i
    paths = [[folded_path(node.path) for node in tree.nodes] for tree in (old, new)]
    counts = [Counter(part) for part in paths]
    by_path = {path: j for j, path in enumerate(paths[1])}
    for i in np.flatnonzero(new_of < 0):
        path = paths[0][i]
        other = by_path.get(path)
        if other is not None and old_of[other] < 0 and counts[0][path] == counts[1][path] == 1:
            new_of[i], old_of[other] = other, i
    is_matched = new_of >= 0
    return Matches(new_of, old_of, np.where(is_matched, SAME_PATH, 0.0), is_matched)


def _with(fixed: Matches, rows: np.ndarray, columns: np.ndarray, probability: np.ndarray) -> Matches:
    new_of, old_of, probability_ = fixed.new_of.copy(), fixed.old_of.copy(), fixed.probability.copy()
    new_of[rows], old_of[columns], probability_[rows] = columns, rows, probability
    return Matches(new_of, old_of, probability_, fixed.same_path)


def _candidates(evidence: TreePair, fixed: Matches, matches: Matches) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of nodes that may be the same category."""
    old, new, vectors = evidence.old, evidence.new, evidence.vectors
    rows, columns = np.flatnonzero(fixed.new_of < 0), np.flatnonzero(fixed.old_of < 0)
    left, right = (
        sparse.hstack([name[old_children], 0.5 * above[old_children]], "csr")
        for name, above, old_children in (
            (vectors.old, vectors.old_above, rows),
            (vectors.new, vectors.new_above, columns),
        )
    )
    i, j = most_similar(left, right, _SIMILAR)
    pairs = set(zip(rows[i].tolist(), columns[j].tolist(), strict=True))
    i, j = most_similar(vectors.old_below[rows], vectors.new_below[columns], 3)
    pairs |= set(zip(rows[i].tolist(), columns[j].tolist(), strict=True))
    open_old, open_new = _open_children(old, fixed.new_of), _open_children(new, fixed.old_of)
    matched = [(-1, -1), *((int(o), int(matches.new_of[o])) for o in np.flatnonzero(matches.new_of >= 0))]
    for parent, other in matched:
        old_children, others = open_old.get(parent, []), open_new.get(other, [])
        if len(old_children) * len(others) <= _MAX_CHILDREN**2:
            pairs |= {(a, b) for a in old_children for b in others}
    for child in np.flatnonzero(matches.new_of >= 0):
        a, b = int(old.parent[child]), int(new.parent[matches.new_of[child]])
        if a >= 0 and b >= 0 and fixed.new_of[a] < 0 and fixed.old_of[b] < 0:
            pairs.add((a, b))
    if evidence.products is not None:
        shared = evidence.products[rows][:, columns].tocoo()
        pairs |= set(zip(rows[shared.row].tolist(), columns[shared.col].tolist(), strict=True))
    ordered = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return ordered[:, 0], ordered[:, 1]


def _open_children(tree: Taxonomy, partner: np.ndarray) -> dict[int, list[int]]:
    """Unmatched nodes by parent; -1 is above the top level."""
    by_parent: dict[int, list[int]] = {}
    for node in np.flatnonzero(partner < 0):
        by_parent.setdefault(int(tree.parent[node]), []).append(int(node))
    return by_parent


def pair_probability(
    evidence: TreePair, matches: Matches, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(P,) probability that an old node of `rows` is the new one of `columns`."""
    features = pair_features(evidence, matches, rows, columns)
    logit = WEIGHTS["bias"] + sum(WEIGHTS[name] * values for name, values in features.items())
    return 1 / (1 + np.exp(-np.asarray(logit)))


def pair_features(
    evidence: TreePair, matches: Matches, rows: np.ndarray, columns: np.ndarray
) -> dict[str, np.ndarray]:
    """(P,) features of pairs of nodes, 0 to 1, by the names of `WEIGHTS`."""
    old, new, vectors = evidence.old, evidence.new, evidence.vectors
    names = [np.array([folded(node.name) for node in tree.nodes], object) for tree in (old, new)]
    often = Counter(names[0].tolist()) | Counter(names[1].tolist())
    rarity = np.array([often[name] ** -0.5 for name in names[0][rows].tolist()])
    common = pair_cosine(vectors.old_words, vectors.new_words, rows, columns)
    length = [
        np.asarray(part.multiply(part).sum(1)).ravel() for part in (vectors.old_words, vectors.new_words)
    ]
    together = length[0][rows] + length[1][columns] - common
    above = pair_cosine(vectors.old_above, vectors.new_above, rows, columns)
    top = (old.parent[rows] < 0) & (new.parent[columns] < 0)
    agrees, differs = _parents(old, new, matches, rows, columns)
    leaf = [
        np.array([not tree.children[node] for node in nodes], bool)
        for tree, nodes in ((old, rows), (new, columns))
    ]
    below = pair_cosine(vectors.old_below, vectors.new_below, rows, columns)
    both_inner, one_inner = ~leaf[0] & ~leaf[1], leaf[0] != leaf[1]
    shared, apart = _products(evidence, rows, columns)
    return {
        "name": pair_cosine(vectors.old, vectors.new, rows, columns),
        "same_name": (names[0][rows] == names[1][columns]) * rarity,
        "common_words": common / np.maximum(together, 1e-9),
        "parent_agrees": agrees.astype(float),
        "parent_differs": differs.astype(float),
        "above": np.where(top, 1.0, above),
        "below": np.where(both_inner, below, 0.0),
        "below_differs": np.where(both_inner, below < 0.2, one_inner).astype(float),
        "children_agree": _children(old, new, matches, rows, columns),
        "only_left": _only_left(old, new, matches, rows, columns) * agrees,
        "products": shared,
        "no_common_product": apart,
    }


def _parents(
    old: Taxonomy, new: Taxonomy, matches: Matches, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(P,) bool: the parents are matched to each other; one of them is matched to another node."""
    a, b = old.parent[rows], new.parent[columns]
    partner = np.where(a >= 0, matches.new_of[a], -1)
    back = np.where(b >= 0, matches.old_of[b], -1)
    agrees = np.where((a < 0) | (b < 0), (a < 0) & (b < 0), partner == b)
    known = (a < 0) | (b < 0) | (partner >= 0) | (back >= 0)
    return agrees, known & ~agrees


def _children(
    old: Taxonomy, new: Taxonomy, matches: Matches, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(P,) share of the children of both nodes that are matched to each other."""
    below: Counter[tuple[int, int]] = Counter()
    for child in np.flatnonzero((matches.new_of >= 0) & (old.parent >= 0)):
        below[int(old.parent[child]), int(new.parent[matches.new_of[child]])] += 1
    sizes = [np.array([len(c) for c in tree.children]) for tree in (old, new)]
    total = sizes[0][rows] + sizes[1][columns]
    shared = np.array([below.get(pair, 0) for pair in zip(rows.tolist(), columns.tolist(), strict=True)])
    return 2 * shared / np.maximum(total, 1)


def _only_left(
    old: Taxonomy, new: Taxonomy, matches: Matches, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(P,) 1 where both nodes are the only unmatched ones under their parents, less where there are more."""
    counts = []
    for tree, partner, nodes in ((old, matches.new_of, rows), (new, matches.old_of, columns)):
        left = np.bincount(tree.parent[partner < 0] + 1, minlength=len(tree) + 1)
        counts.append(left[tree.parent[nodes] + 1] + (partner[nodes] >= 0))
    return 1.0 / np.maximum(np.maximum(*counts), 1) ** 2


def _products(evidence: TreePair, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P,) share of common products that are in both; 1 where both have some, but none together."""
    if evidence.products is None:
        return np.zeros(len(rows)), np.zeros(len(rows))
    table = evidence.products
    shared = np.asarray(table[rows, columns]).ravel().astype(float)
    totals = common_products(evidence)
    total = totals[0][rows] + totals[1][columns] - shared
    apart = (shared == 0) & (np.minimum(totals[0][rows], totals[1][columns]) >= 3)
    return shared / np.maximum(total, 1), apart.astype(float)


def common_products(evidence: TreePair) -> tuple[np.ndarray, np.ndarray]:
    """(M,) and (M',) common products at or below each node."""
    old, new, table = evidence.old, evidence.new, evidence.products
    tops = [np.flatnonzero(tree.parent < 0) for tree in (old, new)]
    return (
        np.asarray(table[:, tops[1]].sum(1)).ravel().astype(float),
        np.asarray(table[tops[0]].sum(0)).ravel().astype(float),
    )


def _assign(rows: np.ndarray, columns: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Pairs of a one-to-one assignment with the highest total probability, as positions."""
    from scipy.optimize import linear_sum_assignment

    if not len(rows):
        return np.zeros(0, np.int64)
    a, i = np.unique(rows, return_inverse=True)
    b, j = np.unique(columns, return_inverse=True)
    size = len(a) + len(b)
    graph = sparse.csr_matrix((np.ones(len(rows)), (i, len(a) + j)), (size, size))
    component = connected_components(graph, directed=False)[1][i]
    order = np.argsort(component, kind="stable")
    chosen: list[int] = []
    for part in np.split(order, np.flatnonzero(np.diff(component[order])) + 1):
        if len(part) == 1:
            chosen.append(int(part[0]))
            continue
        left, x = np.unique(i[part], return_inverse=True)
        right, y = np.unique(j[part], return_inverse=True)
        if max(len(left), len(right)) > _MAX_ASSIGNED:
            chosen += _greedy(part, i, j, probability)
            continue
        table, position = np.zeros((len(left), len(right))), np.full((len(left), len(right)), -1)
        table[x, y], position[x, y] = probability[part], part
        assigned = position[linear_sum_assignment(-table)]
        chosen += assigned[assigned >= 0].tolist()
    return np.array(sorted(chosen), np.int64)


def _greedy(part: np.ndarray, i: np.ndarray, j: np.ndarray, probability: np.ndarray) -> list[int]:
    used: tuple[set[int], set[int]] = (set(), set())
    chosen = []
    for pair in part[np.argsort(-probability[part], kind="stable")].tolist():
        if i[pair] not in used[0] and j[pair] not in used[1]:
            used[0].add(int(i[pair]))
            used[1].add(int(j[pair]))
            chosen.append(pair)
    return chosen
