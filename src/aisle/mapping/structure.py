"""Structure: the targets of a category, its parent and its children lie below each other."""

import numpy as np

from aisle.mapping.features import STRUCTURE, TargetCandidates
from aisle.mapping.sides import TreeSide


def structure_features(
    source: TreeSide, target: TreeSide, candidates: TargetCandidates, found: np.ndarray, nodes: np.ndarray
) -> np.ndarray:
    """(B, K, F) the features of STRUCTURE of some categories.

    Args:
        source: the tree whose categories are mapped.
        target: the tree they are mapped onto.
        candidates: of all categories.
        found: (S, K) probabilities as far as they are known.
        nodes: (B,) the categories in question.
    """
    node = candidates.node[nodes]  # (B, K)
    real = candidates.used[nodes] & (node >= 0)
    x = np.zeros((*node.shape, len(STRUCTURE)), np.float32)
    parent = source.taxonomy.parent[nodes]
    own = np.flatnonzero(parent >= 0)
    if len(own):
        x[own, :, :4] = _of_parent(target, candidates, found, parent[own], node[own], real[own])
        null = np.where(real[own], 0.0, found[parent[own], 0][:, None])
        x[own, 0, 6] = null[:, 0]
    for b, number in enumerate(nodes.tolist()):
        below = source.taxonomy.children[number]
        if below:
            x[b, :, 4:6] = _of_children(target, candidates, found, np.array(below), node[b], real[b])
    return x


def _of_parent(
    target: TreeSide,
    candidates: TargetCandidates,
    found: np.ndarray,
    parent: np.ndarray,
    node: np.ndarray,
    real: np.ndarray,
) -> np.ndarray:
    """(B, K, 4) the parent's probability at the candidate, just above it, further above it, and elsewhere."""
    theirs, p = candidates.node[parent], found[parent]  # (B, K')
    p = np.where(theirs >= 0, p, 0.0)
    safe = np.maximum(node, 0)
    up = target.taxonomy.parent[safe]
    same = (theirs[:, None, :] == node[:, :, None]) & (theirs[:, None, :] >= 0)
    child = (theirs[:, None, :] == up[:, :, None]) & (up[:, :, None] >= 0)
    first = np.maximum(theirs, 0)[:, None, :]
    under = (first <= safe[:, :, None]) & (safe[:, :, None] < target.end[first]) & (theirs[:, None, :] >= 0)
    at, just, all_above = ((one * p[:, None, :]).sum(2) for one in (same, child, under))
    elsewhere = p.sum(1)[:, None] - all_above
    parts = np.stack([at, just, np.maximum(all_above - at - just, 0), elsewhere], 2)
    return np.where(real[..., None], parts, 0.0)


def _of_children(
    target: TreeSide,
    candidates: TargetCandidates,
    found: np.ndarray,
    below: np.ndarray,
    node: np.ndarray,
    real: np.ndarray,
) -> np.ndarray:
    """(K, 2) the mean probability that a child's target lies below the candidate, and is the candidate."""
    theirs = candidates.node[below].ravel()
    p = np.where(theirs >= 0, found[below].ravel(), 0.0) / len(below)
    kept = p > 1e-4
    theirs, p = theirs[kept], p[kept]
    safe = np.maximum(node, 0)[:, None]
    under = (safe < theirs) & (theirs < target.end[safe])
    same = safe == theirs
    return np.where(real[:, None], np.stack([(under * p).sum(1), (same * p).sum(1)], 1), 0.0)
