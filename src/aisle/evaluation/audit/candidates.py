"""Candidate categories of a product: its labels, made-up wrong labels, and likelier categories."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.data.duplicates import members
from aisle.evaluation.audit.neighbours import NeighborLists
from aisle.taxonomy import Taxonomy

GIVEN = slice(0, 3)  # the label, and up to two further acceptable categories
WRONG = slice(3, 6)  # made up: any other label, one of the same parent, one of the parent's siblings
BETTER = slice(6, 12)  # proposed by neighbours, duplicates and the model
VOTED = slice(6, 8)
DOUBLED = 8
ANSWERED = slice(9, 12)
COUNT = 12


class AuditCases(NamedTuple):
    """n labelled products to be judged.

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
        more = [taxonomy.find(path) for path in catalog[int(rows[i])].categories[1:]]
        known = [n for n in dict.fromkeys(more) if n is not None and n != node[i]][:2]
        candidates[i, 1 : 1 + len(known)] = known
    candidates[:, WRONG] = wrong_labels(taxonomy, node, candidates[:, GIVEN])
    return AuditCases(rows, node, targets.exact[rows], group[rows], fold[rows], candidates)


def wrong_labels(taxonomy: Taxonomy, node: np.ndarray, given: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, 3) labels that are wrong: another product's, a sibling's, one below a sibling of the parent.

    They are drawn from labels in use; -1 where there is no such label, or where it is one of `given` (n, 3).
    """
    rng = np.random.default_rng(seed)
    used = np.unique(node)
    any_other = rng.permutation(node)
    out = np.stack(
        [any_other, relative(taxonomy, node, used, 1, rng), relative(taxonomy, node, used, 2, rng)], 1
    )
    out[(out[:, :, None] == given[:, None, :]).any(2)] = -1
    return out


def relative(
    taxonomy: Taxonomy, node: np.ndarray, used: np.ndarray, steps: int, rng: np.random.Generator
) -> np.ndarray:
    """(n,) a used label under the ancestor `steps` above, but not under the one below that; -1: none."""
    depth = taxonomy.node_depth
    out = np.full(len(node), -1, np.int64)
    choices: dict[int, np.ndarray] = {}
    for own in np.unique(node).tolist():
        level = int(depth[own]) - steps  # of the common ancestor; 0 is above all
        if level < 0:
            continue
        line = taxonomy.ancestors[own]
        near = used if level == 0 else used[taxonomy.ancestors[used, level - 1] == line[level - 1]]
        choices[own] = near[taxonomy.ancestors[near, level] != line[level]]
    for own, there in choices.items():
        mine = np.flatnonzero(node == own)
        if len(there):
            out[mine] = rng.choice(there, len(mine))
    return out


def neighbor_labels(near: Sequence[NeighborLists], node: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(n, 2) the two commonest labels of its neighbours other than its own; -1 where there is none."""
    out = np.full((len(own), 2), -1, np.int64)
    for i in range(len(own)):
        tally: dict[int, float] = {}
        for space in near:
            for j, similarity in zip(space.number[i].tolist(), space.similarity[i].tolist(), strict=True):
                if j >= 0 and node[j] != own[i]:
                    tally[int(node[j])] = tally.get(int(node[j]), 0.0) + max(similarity, 0.0)
        best = sorted(tally, key=lambda n: (-tally[n], n))[:2]
        out[i, : len(best)] = best
    return out


def duplicate_labels(group: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of duplicates: (n,) the share of a product's that carry its label (NaN: it has none), and (n,) the
    label that most of those which differ carry (-1: none differs)."""
    agree, other = np.full(len(node), np.nan), np.full(len(node), -1, np.int64)
    for rows in members(np.unique(group, return_inverse=True)[1]):
        labels, counts = np.unique(node[rows], return_counts=True)
        for i in rows.tolist():
            rest = counts - (labels == node[i])
            agree[i] = rest[labels == node[i]].sum() / rest.sum()
            differ = np.where(labels == node[i], 0, counts)
            if differ.any():
                other[i] = labels[differ.argmax()]
    return agree, other
