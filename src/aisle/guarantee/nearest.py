"""The products learned from that are nearest to a new one, in spaces that know nothing of the tree."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.guarantee.calibration import blocks
from aisle.taxonomy import Taxonomy

TOP = 3  # neighbours in each top category whose mean similarity counts
VOTERS = 20  # neighbours, wherever they are, that say where a product belongs
_BLOCK = 16  # products that are looked at together when the nearest are sought
SHARPNESS = 10.0  # how sharply a difference in cosine similarity speaks for a category


class Nearest(NamedTuple):
    """The training products most similar to B new ones, in S embedding spaces; NaN where a space is missing.

    Attributes:
        branch_similarity: (B, S, T) mean cosine similarity to the nearest products of each top category.
        place: (B, S, K) nodes of the K nearest products; -1 where the node is not in the tree.
        similarity: (B, S, K) cosine similarity to these.
    """

    branch_similarity: np.ndarray
    place: np.ndarray
    similarity: np.ndarray

    def take(self, rows: np.ndarray) -> "Nearest":
        """Those of some products."""
        return Nearest(*(part[rows] for part in self))

    @staticmethod
    def beside(spaces: Sequence["Nearest"]) -> "Nearest":
        """The same products in several spaces."""
        return Nearest(*(np.concatenate(parts, 1) for parts in zip(*spaces, strict=True)))

    @staticmethod
    def join(parts: Sequence["Nearest"]) -> "Nearest":
        """One batch after the other."""
        return Nearest(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def vote_share(self, taxonomy: Taxonomy, nodes: np.ndarray) -> np.ndarray:
        """(B, S, L) share of the neighbours' vote, by similarity, that lies at or below each of `nodes`
        (B, L); at the last of a row's nodes, which is its full path, exactly there. -1 is no node."""
        there = self.place >= 0
        with np.errstate(invalid="ignore"):
            weight = np.exp(SHARPNESS * (self.similarity - self.similarity.max(2, keepdims=True)))
        weight = np.where(there & np.isfinite(weight), weight, 0.0)
        total = weight.sum(2)
        last = (nodes >= 0).sum(1) - 1
        vote = np.zeros((len(nodes), weight.shape[1], nodes.shape[1]))
        for level in range(nodes.shape[1]):
            node = nodes[:, level, None, None]
            same = taxonomy.ancestors[self.place, level] == node
            same = np.where((level == last)[:, None, None], self.place == node, same)
            vote[..., level] = (weight * (same & there)).sum(2)
        with np.errstate(invalid="ignore", divide="ignore"):
            return vote / np.where(total > 0, total, np.nan)[..., None]


class Neighbours:
    """Products learned from, in one space: what a new one is compared with.

    vectors: (n, D) float, any length but zero; places: (n,) the id of the node where each belongs. Of more
    than `most` products an even share of each place is kept, drawn by chance (always the same).
    """

    def __init__(self, vectors: np.ndarray, places: Sequence[str], most: int = 20_000) -> None:
        kept = _even_share(np.asarray(places), most)
        self.vectors = _unit(np.asarray(vectors)[kept])
        self.places = np.asarray(places)[kept]
        self._layout: tuple[Taxonomy, np.ndarray, _Layout] | None = None

    def ask(self, vectors: np.ndarray, taxonomy: Taxonomy) -> Nearest:
        """What these products say of `vectors` (B, D), in one space; nothing of rows that are zero or no
        numbers (the view is absent).

        Likeness is the mean cosine similarity of the `TOP` nearest, -1 where a category has none.
        """
        layout = self._laid_out(taxonomy)
        voters = min(VOTERS, len(self.places))
        likeness = np.full((len(vectors), len(taxonomy.level(1))), -1.0, dtype=np.float32)
        nearest = np.full((len(vectors), VOTERS), -1, dtype=np.int64)
        similarity = np.full((len(vectors), VOTERS), -np.inf, dtype=np.float32)
        for rows in blocks(len(vectors), len(layout.place)):
            unit = _unit(np.asarray(vectors[rows]))
            near = unit @ layout.vectors.T
            near[:, layout.empty] = -np.inf
            peak = near.reshape(len(unit), _BLOCK, -1).max(1)
            best = _highest(near, peak, voters)
            nearest[rows, :voters] = layout.place[best]
            similarity[rows, :voters] = np.take_along_axis(near, best, 1)
            likeness[rows, layout.tops] = _means(near, peak, layout)
            absent = rows.start + np.flatnonzero(~(np.abs(unit).sum(1) > 0))
            likeness[absent], similarity[absent], nearest[absent] = np.nan, np.nan, -1
        return Nearest(likeness[:, None], nearest[:, None], similarity[:, None])

    def _laid_out(self, taxonomy: Taxonomy) -> "_Layout":
        """Kept for the tree that was asked about last."""
        kept = self._layout
        if kept is None or kept[0] is not taxonomy or kept[1] is not self.vectors:
            kept = self._layout = (taxonomy, self.vectors, _lay_out(self.vectors, self.places, taxonomy))
        return kept[2]


class _Layout(NamedTuple):
    """Products in blocks of `_BLOCK` that share a top category, the last of each category filled up.

    With P blocks, place k of block j is number k P + j. vectors: (_BLOCK P, D), zeros where there is none;
    place: (_BLOCK P,) the node of each, -1 where the tree lacks it; empty: the numbers that were filled up.
    tops: (T,) the top categories that have products; starts: (T,) the first block of each, sizes: (T,) how
    many products it has. Behind them stand those that the tree has no place for.
    """

    vectors: np.ndarray
    place: np.ndarray
    empty: np.ndarray
    tops: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray


def _lay_out(vectors: np.ndarray, places: np.ndarray, taxonomy: Taxonomy) -> _Layout:
    ids, which = np.unique(places, return_inverse=True)
    found = [taxonomy.find(str(place)) for place in ids]
    place = np.array([-1 if node is None else node for node in found], dtype=np.int64)[which]
    top = np.where(place >= 0, taxonomy.ancestors[place, 0], -1)
    order: list[np.ndarray] = []  # (_BLOCK, blocks of this category) numbers of products, -1: filled up
    for node in (*taxonomy.level(1), -1):
        those = np.flatnonzero(top == node)
        width = -(-len(those) // _BLOCK)
        order.append(np.append(those, np.full(width * _BLOCK - len(those), -1)).reshape(_BLOCK, width))
    flat = np.concatenate(order, 1).ravel().astype(np.int64)
    sizes = np.array([(numbers >= 0).sum() for numbers in order[:-1]])
    ends = np.cumsum([numbers.shape[1] for numbers in order])
    tops, empty = np.flatnonzero(sizes), flat < 0
    return _Layout(
        np.where(empty[:, None], np.float32(0), vectors[flat]),
        np.where(empty, -1, place[flat]),
        np.flatnonzero(empty),
        tops,
        np.append(0, ends[:-1])[tops],
        sizes[tops],
    )


def _highest(near: np.ndarray, peak: np.ndarray, most: int) -> np.ndarray:
    """(b, most) the numbers of the most similar products: none is outside of the `most` blocks whose highest
    similarity, `peak` (b, P), is highest."""
    total = peak.shape[1]
    several = np.broadcast_to(np.arange(total), peak.shape)
    if total > most:
        several = np.argpartition(peak, total - most, axis=1)[:, -most:]
    inside = (several[:, None] + total * np.arange(_BLOCK)[:, None]).reshape(len(peak), -1)
    among = np.take_along_axis(near, inside, 1)
    if among.shape[1] > most:
        best = np.argpartition(among, among.shape[1] - most, axis=1)[:, -most:]
        inside = np.take_along_axis(inside, best, 1)
    return inside


def _means(near: np.ndarray, peak: np.ndarray, layout: _Layout) -> np.ndarray:
    """(b, T) the mean of the `TOP` highest similarities in each top category; takes them away from `near` and
    `peak`, one after the other."""
    b, total = peak.shape
    if not len(layout.tops):
        return np.zeros((b, 0), np.float32)
    gone = int(layout.starts[-1]) + -(-int(layout.sizes[-1]) // _BLOCK)  # where those without a place begin
    peak, flat, row = peak[:, :gone], near.ravel(), np.arange(b)[:, None]
    width, numbers = np.diff(layout.starts, append=gone), np.arange(gone, dtype=np.int32)
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


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; zero ones, and those that are not numbers, become zero."""
    vectors = np.nan_to_num(vectors.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _even_share(places: np.ndarray, most: int) -> np.ndarray:
    """Sorted row numbers, at most `most`: all of small categories, equally many of larger ones."""
    if len(places) <= most:
        return np.arange(len(places))
    order = np.random.default_rng(0).permutation(len(places))
    _, code = np.unique(places[order], return_inverse=True)
    by_category = np.argsort(code, kind="stable")
    starts = np.r_[0, np.cumsum(np.bincount(code))[:-1]]
    turn = np.empty(len(places), dtype=np.int64)  # each product's turn within its category
    turn[by_category] = np.arange(len(places)) - np.repeat(starts, np.bincount(code))
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])
