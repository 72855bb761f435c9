"""The nearest products of each product, none of them its duplicate."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from aisle.guarantee import Nearest
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Taxonomy

K = 20  # neighbors that vote
MAX_SEARCHED = 20_000  # products searched for neighbors: of more, a random sample
_BLOCK = 512


class NeighborLists(NamedTuple):
    """The nearest products in one embedding space.

    Attributes:
        number: (n, K) indices of the products, -1 where there is none.
        similarity: (n, K) their cosines.
    """

    number: np.ndarray
    similarity: np.ndarray


def nearest(
    vectors: Mapping[str, np.ndarray], group: np.ndarray, progress: Progress = SILENT
) -> dict[str, NeighborLists]:
    """The neighbors of n products in each embedding space.

    Args:
        vectors: Space -> (n, D), zeros where a product has none.
        group: (n,) numbers of groups of near-duplicates, which are not neighbors of each other.
        progress: Reports progress.
    """
    neighbors = {}
    for name, rows in vectors.items():
        with progress(f"finding neighbors by {name}", len(rows)) as advance:
            length = np.linalg.norm(rows, axis=1, keepdims=True)
            unit = (rows / np.where(length > 0, length, 1)).astype(np.float32)
            searched = np.flatnonzero(length[:, 0] > 0)
            if len(searched) > MAX_SEARCHED:
                searched = np.sort(np.random.default_rng(0).choice(searched, MAX_SEARCHED, replace=False))
            index = np.full((len(rows), K), -1, np.int64)
            similarity = np.full((len(rows), K), -np.inf, np.float32)
            for start in range(0, len(rows), _BLOCK):
                part = slice(start, min(start + _BLOCK, len(rows)))
                has_vector = length[part, 0] > 0
                if has_vector.any() and len(searched):
                    _search_block(
                        unit[part], has_vector, searched, unit[searched], group, part, index, similarity
                    )
                advance(part.stop - part.start)
            neighbors[name] = NeighborLists(index, similarity)
    return neighbors


def _search_block(
    unit: np.ndarray, has_vector: np.ndarray, searched: np.ndarray, others: np.ndarray, group: np.ndarray,
    part: slice, index: np.ndarray, similarity: np.ndarray,
) -> None:  # fmt: skip
    cosines = unit @ others.T  # (b, m)
    cosines[group[part, None] == group[searched][None]] = -np.inf
    count = min(K, len(searched))
    best = np.argpartition(cosines, len(searched) - count, axis=1)[:, -count:]
    cosine = np.take_along_axis(cosines, best, 1)
    order = np.argsort(-cosine, axis=1, kind="stable")
    best, cosine = np.take_along_axis(best, order, 1), np.take_along_axis(cosine, order, 1)
    valid = np.isfinite(cosine) & has_vector[:, None]
    index[part, :count] = np.where(valid, searched[best], -1)
    similarity[part, :count] = np.where(valid, cosine, -np.inf)


def votes(
    neighbor_lists: NeighborLists, taxonomy: Taxonomy, node: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Similarity-weighted shares of the neighbors that support candidate labels.

    Args:
        neighbor_lists: The neighbors of n products.
        taxonomy: The categories.
        node: (n,) the label of each product.
        candidates: (n,) the candidate label of each product.

    Returns:
        (n, 3) shares of neighbors with the candidate, below its parent, and below its level-1 category; NaN
        without neighbors.
    """
    node_of_neighbor = np.where(neighbor_lists.number >= 0, node[neighbor_lists.number], -1)[:, None]
    neighbors = Nearest.voters(node_of_neighbor, neighbor_lists.similarity[:, None])
    path = np.where((candidates >= 0)[:, None], taxonomy.ancestors[candidates], -1)
    share = neighbors.vote_share(taxonomy, path)[:, 0]  # (n, L)
    depth = np.maximum(taxonomy.node_depth[candidates], 1)
    rows = np.arange(len(candidates))
    return np.stack([share[rows, depth - 1], share[rows, np.maximum(depth - 2, 0)], share[:, 0]], 1)
