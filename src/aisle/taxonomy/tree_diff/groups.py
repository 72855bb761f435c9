"""Finds merged and split categories: unmatched nodes that belong to a node of the other tree.

The same code finds both: a merge links an unmatched old node to a new one, a split an unmatched new node to
an old one.

Shapes: M nodes on this side, M' on the other.
"""

from typing import NamedTuple

import numpy as np

from aisle.taxonomy.tree import Taxonomy
from aisle.taxonomy.tree_diff.matching import Matches, TreePair, common_products
from aisle.taxonomy.tree_diff.names import most_similar, pair_cosine

LINKED = 0.5  # least probability of a link
_SIMILAR = 5
_FEW_PRODUCTS = 3  # common products below which they prove little

# As those of `aisle.taxonomy.tree_diff.matching`.
WEIGHTS = {
    "bias": -6.2, "name": 0.5, "contained": 4.7, "contains": 1.9, "parent_agrees": 2.7, "in_parent": 7.8,
    "kept": -2.0, "children": 4.0, "products": 9.0, "no_common_product": -3.0,
}  # fmt: skip


class Link(NamedTuple):
    """An unmatched node of one tree that belongs to a node of the other.

    Attributes:
        node: index on this side.
        other: index on the other side.
        probability: that it is so.
        in_parent: `other` is the match of the node's parent, which has the node's place now.
    """

    node: int
    other: int
    probability: float
    in_parent: bool


def links(evidence: TreePair, matches: Matches) -> tuple[list[Link], dict[int, tuple[int, float]]]:
    """Link the unmatched nodes of the old tree to new ones.

    Returns:
        The links, and for every other unmatched node the most similar new node with its probability.
    """
    old, new = evidence.old, evidence.new
    nodes = np.flatnonzero(matches.new_of < 0)
    rows, columns = _candidates(evidence, matches, nodes)
    if not len(rows):
        return [], {}
    features = link_features(evidence, matches, rows, columns)
    logit = WEIGHTS["bias"] + sum(WEIGHTS[name] * values for name, values in features.items())
    probability = 1 / (1 + np.exp(-np.asarray(logit)))
    order = np.lexsort((columns, -probability, rows))
    best = order[np.unique(rows[order], return_index=True)[1]]
    linked, others = [], {}
    for index in best.tolist():
        node, other, link_probability = int(rows[index]), int(columns[index]), float(probability[index])
        if link_probability >= LINKED:
            linked.append(Link(node, other, link_probability, bool(features["in_parent"][index])))
        elif not _has_children_elsewhere(old, new, matches, node):
            others[node] = (other, link_probability)
    return linked, others


def _has_children_elsewhere(old: Taxonomy, new: Taxonomy, matches: Matches, node: int) -> bool:
    """Whether most children of a node are matched, so that it needs no replacement."""
    children = old.children[node]
    return bool(children) and sum(matches.new_of[c] >= 0 for c in children) > len(children) / 2


def _candidates(evidence: TreePair, matches: Matches, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    old, new, vectors = evidence.old, evidence.new, evidence.vectors
    i, j = most_similar(vectors.old[nodes], vectors.new, _SIMILAR)
    pairs = set(zip(nodes[i].tolist(), j.tolist(), strict=True))
    i, j = most_similar(vectors.old_words[nodes], vectors.new_words, _SIMILAR)
    pairs |= set(zip(nodes[i].tolist(), j.tolist(), strict=True))
    top = np.flatnonzero(new.parent < 0).tolist()
    for node in nodes.tolist():
        parent = int(old.parent[node])
        other = int(matches.new_of[parent]) if parent >= 0 else -1
        if other >= 0:
            pairs.add((node, other))
        siblings = new.children[other] if other >= 0 else top if parent < 0 else ()
        pairs |= {(node, sibling) for sibling in siblings}
        for child in old.children[node]:
            partner = int(matches.new_of[child])
            if partner >= 0 and new.parent[partner] >= 0:
                pairs.add((node, int(new.parent[partner])))
    if evidence.products is not None:
        shared = evidence.products[nodes].tocoo()
        pairs |= set(zip(nodes[shared.row].tolist(), shared.col.tolist(), strict=True))
    ordered = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return ordered[:, 0], ordered[:, 1]


def link_features(
    evidence: TreePair, matches: Matches, rows: np.ndarray, columns: np.ndarray
) -> dict[str, np.ndarray]:
    """(P,) features of links, 0 to 1, by the names of `WEIGHTS`."""
    old, new, vectors = evidence.old, evidence.new, evidence.vectors
    common = pair_cosine(vectors.old_words, vectors.new_words, rows, columns)
    length = [
        np.asarray(part.multiply(part).sum(1)).ravel() for part in (vectors.old_words, vectors.new_words)
    ]
    kept = (matches.old_of[columns] >= 0) & matches.same_path[matches.old_of[columns]]
    parent = old.parent[rows]
    partner = np.where(parent >= 0, matches.new_of[parent], -1)
    agrees = np.where(parent >= 0, (partner >= 0) & (partner == new.parent[columns]), new.parent[columns] < 0)
    was_inner = np.array([not new.children[c] for c in columns.tolist()], bool)
    share, apart = _share(evidence, rows, columns)
    return {
        "name": pair_cosine(vectors.old, vectors.new, rows, columns),
        "contained": common / np.maximum(length[0][rows], 1e-9) * np.where(kept, 0.6, 1.0),
        "contains": np.where(kept, 0.0, common / np.maximum(length[1][columns], 1e-9)),
        "parent_agrees": agrees.astype(float),
        "in_parent": ((partner == columns) & was_inner).astype(float),
        "kept": (kept & (partner != columns)).astype(float),
        "children": _children(old, new, matches, rows, columns),
        "products": share,
        "no_common_product": apart,
    }


def _children(
    old: Taxonomy, new: Taxonomy, matches: Matches, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(P,) share of a node's children that are matched to the other node, or to one of its children."""
    out = np.zeros(len(rows))
    for index, (node, other) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        children = old.children[node]
        if children:
            partners = [int(matches.new_of[c]) for c in children]
            out[index] = sum(p >= 0 and other in (p, int(new.parent[p])) for p in partners) / len(children)
    return out


def _share(evidence: TreePair, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P,) share of a node's common products that the other node has; 1 where it has none of several."""
    if evidence.products is None:
        return np.zeros(len(rows)), np.zeros(len(rows))
    shared = np.asarray(evidence.products[rows, columns]).ravel().astype(float)
    totals = common_products(evidence)[0][rows]
    share = shared / np.maximum(totals, _FEW_PRODUCTS)
    return share, ((shared == 0) & (totals >= _FEW_PRODUCTS)).astype(float)
