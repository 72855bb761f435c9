"""The most similar training products, found by exact search in embeddings that do not depend on the tree."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.guarantee.calibration import blocks
from aisle.guarantee.discriminant import Discriminant, stable_matmul
from aisle.taxonomy import Taxonomy

TOP = 3  # neighbors in each top category whose mean similarity counts
VOTERS = 20  # neighbors that vote for categories, wherever they are in the tree
SHARPNESS = 10.0  # inverse temperature of the vote by cosine similarity
_BLOCK = 16  # products whose similarities are compared together in the search


class Nearest(NamedTuple):
    """The training products most similar to B products, in S embedding spaces; NaN where a space is missing.

    Attributes:
        branch_similarity: (B, S, T) mean cosine similarity to the nearest products of each top category.
        node: (B, S, K) nodes of the K nearest products, in any order; -1: the tree does not have it.
        similarity: (B, S, K) cosine similarity to these; -inf where there are fewer than K.
        branch_score: (B, S, T) output of a ridge regression for each top category (`Discriminant`).
        distance: (B, S) relative Mahalanobis distance to the nearest category.
    """

    branch_similarity: np.ndarray
    node: np.ndarray
    similarity: np.ndarray
    branch_score: np.ndarray
    distance: np.ndarray

    def take(self, rows: np.ndarray) -> "Nearest":
        """The neighbors of the products `rows`."""
        return Nearest(*(part[rows] for part in self))

    @staticmethod
    def voters(node: np.ndarray, similarity: np.ndarray) -> "Nearest":
        """Neighbors (B, S, K) alone, without evidence for top categories (T = 0)."""
        none = np.zeros((*node.shape[:2], 0))
        return Nearest(none, node, similarity, none, np.full(node.shape[:2], np.nan))

    @staticmethod
    def stack_spaces(spaces: Sequence["Nearest"]) -> "Nearest":
        """The neighbors of the same products in several spaces, along axis 1."""
        return Nearest(*(np.concatenate(parts, 1) for parts in zip(*spaces, strict=True)))

    @staticmethod
    def join(parts: Sequence["Nearest"]) -> "Nearest":
        """The neighbors of several batches of products, along axis 0."""
        return Nearest(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def vote_share(self, taxonomy: Taxonomy, nodes: np.ndarray) -> np.ndarray:
        """Share of the neighbors' vote for each category on a path, weighted by similarity.

        Args:
            taxonomy: The tree of `node`.
            nodes: (B, L) the nodes of a path, top first; -1 below its end.

        Returns:
            (B, S, L) share of the vote, 0 to 1, at or below each node; for the last node of a path, exactly
            at it. NaN where no neighbor has a node.
        """
        known = self.node >= 0
        with np.errstate(invalid="ignore"):
            weight = np.exp(SHARPNESS * (self.similarity - self.similarity.max(2, keepdims=True)))
        weight = np.where(known & np.isfinite(weight), weight, 0.0)
        total = weight.sum(2)
        last = (nodes >= 0).sum(1) - 1
        vote = np.zeros((len(nodes), weight.shape[1], nodes.shape[1]))
        for level in range(nodes.shape[1]):
            node = nodes[:, level, None, None]
            same = taxonomy.ancestors[self.node, level] == node
            same = np.where((level == last)[:, None, None], self.node == node, same)
            vote[..., level] = (weight * (same & known)).sum(2)
        with np.errstate(invalid="ignore", divide="ignore"):
            return vote / np.where(total > 0, total, np.nan)[..., None]


class NeighborIndex:
    """Training products in one embedding space, for exact search of the most similar.

    Attributes:
        vectors: (n, D) float32 unit vectors of the products kept.
        node_ids: (n,) id of the category of each.
    """

    def __init__(self, vectors: np.ndarray, node_ids: Sequence[str], max_products: int = 20_000) -> None:
        """Store at most `max_products` products: all of small categories, an equal number of larger ones.

        Args:
            vectors: (n, D) float vectors, of any length but zero.
            node_ids: (n,) id of the category of each product.
            max_products: Number of products kept; a sample with a fixed seed where there are more.
        """
        kept = _balanced_sample(np.asarray(node_ids), max_products)
        self.vectors = _normalized(np.asarray(vectors)[kept])
        self.node_ids = np.asarray(node_ids)[kept]
        self._layout: tuple[Taxonomy, np.ndarray, _Layout] | None = None

    def query(self, vectors: np.ndarray, taxonomy: Taxonomy) -> Nearest:
        """The `VOTERS` products most similar to each vector, and its similarity to each top category.

        Args:
            vectors: (B, D); zero or NaN where the view is absent.
            taxonomy: The tree that the nodes are numbered by.

        Returns:
            Neighbors in one space (S = 1). `branch_similarity` is the mean cosine similarity of the `TOP`
            nearest, -1 for a category without products. NaN and -1 where the view is absent; `branch_score`
            and `distance` are NaN for an index of fewer than two products.
        """
        layout = self._laid_out(taxonomy)
        voters = min(VOTERS, len(self.node_ids))
        branch_similarity = np.full((len(vectors), len(taxonomy.level(1))), -1.0, dtype=np.float32)
        node = np.full((len(vectors), VOTERS), -1, dtype=np.int64)
        similarity = np.full((len(vectors), VOTERS), -np.inf, dtype=np.float32)
        branch_score = np.full_like(branch_similarity, np.nan)
        distance = np.full(len(vectors), np.nan, dtype=np.float32)
        for rows in blocks(len(vectors), len(layout.node)):
            unit = _normalized(np.asarray(vectors[rows]))
            near = stable_matmul(unit, layout.vectors.T)
            near[:, layout.padding] = -np.inf
            peak = near.reshape(len(unit), _BLOCK, -1).max(1)
            best = _highest(near, peak, voters)
            node[rows, :voters] = layout.node[best]
            similarity[rows, :voters] = np.take_along_axis(near, best, 1)
            branch_similarity[rows, layout.tops] = _top_means(near, peak, layout)
            if layout.discriminant is not None:
                branch_score[rows] = layout.discriminant.branch_scores(unit)
                distance[rows] = layout.discriminant.distance(unit)
            absent = rows.start + np.flatnonzero(~(np.abs(unit).sum(1) > 0))
            branch_similarity[absent], similarity[absent], node[absent] = np.nan, np.nan, -1
            branch_score[absent], distance[absent] = np.nan, np.nan
        parts = branch_similarity, node, similarity, branch_score, distance
        return Nearest(*(part[:, None] for part in parts))

    def _laid_out(self, taxonomy: Taxonomy) -> "_Layout":
        """The products by top category; cached for the last tree."""
        cached = self._layout
        if cached is None or cached[0] is not taxonomy or cached[1] is not self.vectors:
            cached = self._layout = (taxonomy, self.vectors, _lay_out(self.vectors, self.node_ids, taxonomy))
        return cached[2]


class _Layout(NamedTuple):
    """Products in P blocks of `_BLOCK`; a block holds one top category, and its last block is padded.

    Item k of block j has number k P + j. Products whose category is not in the tree come last.

    Attributes:
        vectors: (_BLOCK P, D) float64 unit vectors; zero in the padding.
        node: (_BLOCK P,) node of each product; -1: not in the tree, or padding.
        padding: Numbers that are padding.
        tops: (T,) columns of the top categories that have products.
        starts: (T,) first block of each.
        sizes: (T,) number of products of each.
        discriminant: Linear models of the categories; None for fewer than two products.
    """

    vectors: np.ndarray
    node: np.ndarray
    padding: np.ndarray
    tops: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    discriminant: Discriminant | None


def _lay_out(vectors: np.ndarray, node_ids: np.ndarray, taxonomy: Taxonomy) -> _Layout:
    ids, which = np.unique(node_ids, return_inverse=True)
    found = [taxonomy.find(str(node_id)) for node_id in ids]
    node = np.array([-1 if n is None else n for n in found], dtype=np.int64)[which]
    top = np.where(node >= 0, taxonomy.ancestors[node, 0], -1)
    order: list[np.ndarray] = []  # (_BLOCK, blocks of this category) numbers of products; -1: padding
    for branch in (*taxonomy.level(1), -1):
        those = np.flatnonzero(top == branch)
        width = -(-len(those) // _BLOCK)
        order.append(np.append(those, np.full(width * _BLOCK - len(those), -1)).reshape(_BLOCK, width))
    flat = np.concatenate(order, 1).ravel().astype(np.int64)
    sizes = np.array([(numbers >= 0).sum() for numbers in order[:-1]])
    ends = np.cumsum([numbers.shape[1] for numbers in order])
    tops, padding = np.flatnonzero(sizes), flat < 0
    return _Layout(
        np.where(padding[:, None], 0.0, vectors[flat].astype(np.float64)),
        np.where(padding, -1, node[flat]),
        np.flatnonzero(padding),
        tops,
        np.append(0, ends[:-1])[tops],
        sizes[tops],
        Discriminant.fit(vectors, node, taxonomy),
    )


def _highest(near: np.ndarray, peak: np.ndarray, count: int) -> np.ndarray:
    """(b, count) numbers of the most similar products: all are in the `count` blocks of highest `peak`.

    Args:
        near: (b, _BLOCK P) cosine similarities.
        peak: (b, P) highest similarity of each block.
        count: Number of products.
    """
    total = peak.shape[1]
    several = np.broadcast_to(np.arange(total), peak.shape)
    if total > count:
        several = np.argpartition(peak, total - count, axis=1)[:, -count:]
    inside = (several[:, None] + total * np.arange(_BLOCK)[:, None]).reshape(len(peak), -1)
    among = np.take_along_axis(near, inside, 1)
    if among.shape[1] > count:
        best = np.argpartition(among, among.shape[1] - count, axis=1)[:, -count:]
        inside = np.take_along_axis(inside, best, 1)
    return inside


def _top_means(near: np.ndarray, peak: np.ndarray, layout: _Layout) -> np.ndarray:
    """(b, T) mean of the `TOP` highest similarities in each top category.

    Overwrites `near` (b, _BLOCK P) and `peak` (b, P): each maximum found is set to -inf before the next.
    """
    b, total = peak.shape
    if not len(layout.tops):
        return np.zeros((b, 0), np.float32)
    end = int(layout.starts[-1]) + -(
        -int(layout.sizes[-1]) // _BLOCK
    )  # first block of products not in the tree
    peak, flat, row = peak[:, :end], near.ravel(), np.arange(b)[:, None]
    width, numbers = np.diff(layout.starts, append=end), np.arange(end, dtype=np.int32)
    within = total * np.arange(_BLOCK)
    count, mean = np.minimum(layout.sizes, TOP), np.zeros((b, len(layout.tops)), np.float32)
    for turn in range(TOP):
        best = np.maximum.reduceat(peak, layout.starts, axis=1)
        mean += np.where(turn < count, best / count, 0)
        if turn == TOP - 1:
            break
        hit = np.where(peak == np.repeat(best, width, axis=1), numbers, -1)
        block = np.maximum.reduceat(hit, layout.starts, axis=1)  # (b, T) where the highest is
        there = (row * _BLOCK * total + block)[..., None] + within  # (b, T, _BLOCK)
        inside = flat.take(there)
        flat[np.take_along_axis(there, inside.argmax(2)[..., None], 2)] = -np.inf
        peak[row, block] = flat.take(there).max(2)
    return mean


def _normalized(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32; rows that are zero or not finite become zero."""
    vectors = np.nan_to_num(vectors.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _balanced_sample(node_ids: np.ndarray, size: int) -> np.ndarray:
    """Sorted row numbers, at most `size`: all of small categories, an equal number of larger ones."""
    if len(node_ids) <= size:
        return np.arange(len(node_ids))
    order = np.random.default_rng(0).permutation(len(node_ids))
    _, code = np.unique(node_ids[order], return_inverse=True)
    by_category = np.argsort(code, kind="stable")
    starts = np.r_[0, np.cumsum(np.bincount(code))[:-1]]
    rank = np.empty(len(node_ids), dtype=np.int64)  # of each product within its category
    rank[by_category] = np.arange(len(node_ids)) - np.repeat(starts, np.bincount(code))
    return np.sort(order[np.argsort(rank, kind="stable")[:size]])
