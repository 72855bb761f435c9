"""The nearest products of each product, none of them its duplicate."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from aisle.guarantee import Nearest
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Taxonomy

K = 20  # neighbours that vote
AMONG = 20_000  # products looked through for them: of more, some drawn by chance
_BLOCK = 512


class NeighborLists(NamedTuple):
    """In one space, (n, K) the `number` of each product's nearest, -1 where there is none, and their cosine
    `similarity`."""

    number: np.ndarray
    similarity: np.ndarray


def nearest(
    vectors: Mapping[str, np.ndarray], group: np.ndarray, progress: Progress = SILENT
) -> dict[str, NeighborLists]:
    """By space, the neighbours of n products in vectors (n, D), zeros where a product has none; `group` (n,)
    numbers near-duplicates, which are not neighbours of each other."""
    found = {}
    for name, rows in vectors.items():
        with progress(f"finding neighbours by {name}", len(rows)) as advance:
            length = np.linalg.norm(rows, axis=1, keepdims=True)
            unit = (rows / np.where(length > 0, length, 1)).astype(np.float32)
            there = np.flatnonzero(length[:, 0] > 0)
            if len(there) > AMONG:
                there = np.sort(np.random.default_rng(0).choice(there, AMONG, replace=False))
            index = np.full((len(rows), K), -1, np.int64)
            similarity = np.full((len(rows), K), -np.inf, np.float32)
            for start in range(0, len(rows), _BLOCK):
                part = slice(start, min(start + _BLOCK, len(rows)))
                here = length[part, 0] > 0
                if here.any() and len(there):
                    _ask(unit[part], here, there, unit[there], group, part, index, similarity)
                advance(part.stop - part.start)
            found[name] = NeighborLists(index, similarity)
    return found


def _ask(
    unit: np.ndarray, here: np.ndarray, there: np.ndarray, others: np.ndarray, group: np.ndarray, part: slice,
    index: np.ndarray, similarity: np.ndarray,
) -> None:  # fmt: skip
    near = unit @ others.T  # (b, m)
    near[group[part, None] == group[there][None]] = -np.inf
    most = min(K, len(there))
    best = np.argpartition(near, len(there) - most, axis=1)[:, -most:]
    cosine = np.take_along_axis(near, best, 1)
    order = np.argsort(-cosine, axis=1, kind="stable")
    best, cosine = np.take_along_axis(best, order, 1), np.take_along_axis(cosine, order, 1)
    known = np.isfinite(cosine) & here[:, None]
    index[part, :most] = np.where(known, there[best], -1)
    similarity[part, :most] = np.where(known, cosine, -np.inf)


def votes(near: NeighborLists, taxonomy: Taxonomy, node: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """(n, 3) similarity-weighted share of the neighbours labelled with `candidates` (n,), below their parent,
    and below their top category. node: (n,) every product's label. NaN without neighbours."""
    node_of_neighbor = np.where(near.number >= 0, node[near.number], -1)[:, None]
    asked = Nearest(np.zeros((len(candidates), 1, 0)), node_of_neighbor, near.similarity[:, None])
    line = np.where((candidates >= 0)[:, None], taxonomy.ancestors[candidates], -1)
    share = asked.vote_share(taxonomy, line)[:, 0]  # (n, L)
    depth = np.maximum(taxonomy.node_depth[candidates], 1)
    rows = np.arange(len(candidates))
    return np.stack([share[rows, depth - 1], share[rows, np.maximum(depth - 2, 0)], share[:, 0]], 1)
