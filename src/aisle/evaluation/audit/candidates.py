"""Candidate categories of a product: its labels, made-up wrong labels, and likelier categories."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.data.duplicates import members
from aisle.evaluation.audit.neighbors import NeighborLists
from aisle.taxonomy import Taxonomy

GIVEN = slice(0, 3)  # the label, and up to two further acceptable categories
WRONG = slice(3, 6)  # made up: any other label, a sibling, one below a sibling of the parent
BETTER = slice(6, 12)  # proposed by neighbors, duplicates and the model
BY_NEIGHBORS = slice(6, 8)
BY_DUPLICATES = 8
BY_MODEL = slice(9, 12)
COUNT = 12


class AuditCases(NamedTuple):
    """n labelled products to be checked.

    Attributes:
        rows: (n,) their rows in the catalog.
        node: (n,) the node of their label.
        exact: (n,) bool, the label is a full path.
        group: (n,) number of their group of near-duplicates.
        fold: (n,) number of their fold.
        candidates: (n, COUNT) nodes to score, -1 where there is none.
    """

    rows: np.ndarray
    node: np.ndarray
    exact: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    candidates: np.ndarray


def audit_cases(catalog: Catalog, taxonomy: Taxonomy, fold: np.ndarray, group: np.ndarray) -> AuditCases:
    """The labelled products of a catalog, with their labels and made-up wrong ones."""
    targets = catalog.targets()
    rows = np.flatnonzero((targets.node >= 0) & (fold >= 0))
    node = targets.node[rows]
    candidates = np.full((len(rows), COUNT), -1, np.int64)
    candidates[:, 0] = node
    for i in np.flatnonzero(catalog.category_counts()[rows] > 1):
        acceptable = [taxonomy.find(path) for path in catalog[int(rows[i])].categories[1:]]
        further = [n for n in dict.fromkeys(acceptable) if n is not None and n != node[i]][:2]
        candidates[i, 1 : 1 + len(further)] = further
    candidates[:, WRONG] = wrong_labels(taxonomy, node, candidates[:, GIVEN])
    return AuditCases(rows, node, targets.exact[rows], group[rows], fold[rows], candidates)


def wrong_labels(taxonomy: Taxonomy, node: np.ndarray, given: np.ndarray) -> np.ndarray:
    """(n, 3) labels that are wrong: another product's, a sibling's, one below a sibling of the parent.

    They are drawn from labels in use; -1 where there is no such label, or where it is one of `given` (n, 3).
    """
    rng = np.random.default_rng(0)
    used = np.unique(node)
    any_other = rng.permutation(node)
    sampled = np.stack(
        [any_other, relative(taxonomy, node, used, 1, rng), relative(taxonomy, node, used, 2, rng)], 1
    )
    sampled[(sampled[:, :, None] == given[:, None, :]).any(2)] = -1
    return sampled


def relative(
    taxonomy: Taxonomy, node: np.ndarray, used: np.ndarray, steps: int, rng: np.random.Generator
) -> np.ndarray:
    """(n,) a used label below the ancestor `steps` above, in another branch of it; -1 if there is none."""
    depth = taxonomy.node_depth
    sampled = np.full(len(node), -1, np.int64)
    choices: dict[int, np.ndarray] = {}
    for label in np.unique(node).tolist():
        level = int(depth[label]) - steps  # of the common ancestor; 0 is above all
        if level < 0:
            continue
        path = taxonomy.ancestors[label]
        in_branch = used if level == 0 else used[taxonomy.ancestors[used, level - 1] == path[level - 1]]
        choices[label] = in_branch[taxonomy.ancestors[in_branch, level] != path[level]]
    for label, labels in choices.items():
        rows = np.flatnonzero(node == label)
        if len(labels):
            sampled[rows] = rng.choice(labels, len(rows))
    return sampled


def neighbor_labels(
    neighbors: Sequence[NeighborLists], node: np.ndarray, labels_given: np.ndarray
) -> np.ndarray:
    """(n, 2) the two most frequent labels of the neighbors other than the product's own; -1 for none."""
    labels = np.full((len(labels_given), 2), -1, np.int64)
    for i in range(len(labels_given)):
        tally: dict[int, float] = {}
        for space in neighbors:
            for j, similarity in zip(space.number[i].tolist(), space.similarity[i].tolist(), strict=True):
                if j >= 0 and node[j] != labels_given[i]:
                    tally[int(node[j])] = tally.get(int(node[j]), 0.0) + max(similarity, 0.0)
        best = sorted(tally, key=lambda n: (-tally[n], n))[:2]
        labels[i, : len(best)] = best
    return labels


def duplicate_labels(group: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels of duplicates.

    Returns:
        (n,) share of a product's duplicates with its label, NaN without duplicates; and (n,) their most
        frequent other label, -1 if there is none.
    """
    agreement, other_label = np.full(len(node), np.nan), np.full(len(node), -1, np.int64)
    for rows in members(np.unique(group, return_inverse=True)[1]):
        labels, counts = np.unique(node[rows], return_counts=True)
        for i in rows.tolist():
            rest = counts - (labels == node[i])
            agreement[i] = rest[labels == node[i]].sum() / rest.sum()
            other_counts = np.where(labels == node[i], 0, counts)
            if other_counts.any():
                other_label[i] = labels[other_counts.argmax()]
    return agreement, other_label
