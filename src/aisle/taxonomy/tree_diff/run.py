"""Compares two versions of a tree."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import sparse

from aisle.taxonomy.tree import Taxonomy, format_path
from aisle.taxonomy.tree_diff.changes import all_changes
from aisle.taxonomy.tree_diff.matching import Matches, TreePair, match
from aisle.taxonomy.tree_diff.names import NameVectors, words
from aisle.taxonomy.tree_diff.result import TaxonomyDiff

_MIN_COMMON_IDS = 0.2  # of the smaller tree: with fewer, ids are of different kinds
_MIN_ALIKE = 0.5  # of common ids whose names are alike: with fewer, ids were given anew


def diff(
    old: Taxonomy,
    new: Taxonomy,
    *,
    products: Iterable[tuple[int, int]] = (),
    ids: bool | None = None,
) -> TaxonomyDiff:
    """Compare two versions of a tree.

    Nodes are matched by their ids where both trees have them. What is left is matched by paths, names, the
    names above and below, matched parents and children, and products that both versions have.

    Args:
        old: the earlier tree.
        new: the later tree.
        products: the old and the new node of each product that both versions have.
        ids: whether ids are compared; by default where both trees have ids that belong together.
    """
    notes: list[str] = []
    by_ids = _comparable_ids(old, new, notes) if ids is None else ids
    evidence = TreePair(old, new, NameVectors(old, new), _counted(old, new, list(products)))
    matches = _by_ids(old, new) if by_ids else match(evidence)
    return TaxonomyDiff(old, new, all_changes(evidence, matches, by_ids), by_ids, tuple(notes))


def _comparable_ids(old: Taxonomy, new: Taxonomy, notes: list[str]) -> bool:
    """Whether both trees have ids of one kind."""
    id_shares = [
        sum(node.id != format_path(node.path) for node in tree.nodes) / len(tree) for tree in (old, new)
    ]
    if min(id_shares) < 0.5:
        if max(id_shares) >= 0.5:
            notes.append(
                f"only the {'old' if id_shares[0] > id_shares[1] else 'new'} tree has ids: names are compared"
            )
        return False
    pairs = [(i, j) for i, node in enumerate(old.nodes) if (j := new.find(node.id)) is not None]
    if len(pairs) < _MIN_COMMON_IDS * min(len(old), len(new)):
        notes.append(f"the trees have {len(pairs):,} ids in common, too few: names are compared")
        return False
    similar = sum(_alike(old, new, i, j) for i, j in pairs)
    if similar < _MIN_ALIKE * len(pairs):
        notes.append(
            f"{len(pairs) - similar:,} of {len(pairs):,} common ids name other categories: names are compared"
        )
        return False
    return True


def _alike(old: Taxonomy, new: Taxonomy, i: int, j: int) -> bool:
    """Whether two nodes with one id share a word, or a parent with one id."""
    a, b = int(old.parent[i]), int(new.parent[j])
    same_parent = min(a, b) >= 0 and new.find(old.nodes[a].id) == b
    return same_parent or bool(words(old.nodes[i].name) & words(new.nodes[j].name))


def _by_ids(old: Taxonomy, new: Taxonomy) -> Matches:
    new_of, old_of = np.full(len(old), -1), np.full(len(new), -1)
    for i, node in enumerate(old.nodes):
        j = new.find(node.id)
        if j is not None and new.nodes[j].id == node.id:
            new_of[i], old_of[j] = j, i
    # Categories made for a level without an id of its own have their path as id.
    is_matched = new_of >= 0
    return Matches(new_of, old_of, is_matched.astype(float), is_matched)


def _counted(old: Taxonomy, new: Taxonomy, products: list[tuple[int, int]]) -> Any:
    """(M, M') number of products at or below both nodes; None without products."""
    if not products:
        return None
    pairs = np.array(products, np.int64)
    ones = np.ones(len(pairs), np.float32)
    table = sparse.csr_matrix((ones, (pairs[:, 0], pairs[:, 1])), (len(old), len(new)))
    return sparse.csr_matrix(_lineage(old).T @ table @ _lineage(new))


def _lineage(tree: Taxonomy) -> Any:
    """(M, M) 1 where the column's node is the row's or above it."""
    row, level = np.nonzero(tree.ancestors >= 0)
    ones = np.ones(len(row), np.float32)
    return sparse.csr_matrix((ones, (row, tree.ancestors[row, level])), (len(tree), len(tree)))
