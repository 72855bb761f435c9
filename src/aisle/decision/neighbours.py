"""The products learned from that are nearest to a new one, in spaces that know nothing of the tree."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.decision.calibration import blocks
from aisle.taxonomy import Taxonomy

TOP = 3  # neighbours in each top category whose mean similarity counts
VOTERS = 20  # neighbours, wherever they are, that say where a product belongs
SHARPNESS = 10.0  # how sharply a difference in cosine similarity speaks for a category


class Nearest(NamedTuple):
    """What the products learned from say of B new ones, in S spaces; NaN where a space says nothing.

    likeness: (B, S, T) to the nearest in each of T top categories. place: (B, S, K) the nodes where the K
    nearest of all belong, -1 where there is none in the tree; similarity: (B, S, K) of each.
    """

    likeness: np.ndarray
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

    def agreement(self, taxonomy: Taxonomy, nodes: np.ndarray) -> np.ndarray:
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

    def ask(self, vectors: np.ndarray, taxonomy: Taxonomy) -> Nearest:
        """What these products say of `vectors` (B, D), in one space; nothing of rows that are zero or no
        numbers (the view is absent).

        Likeness is the mean cosine similarity of the `TOP` nearest, -1 where a category has none.
        """
        place = self._nodes(taxonomy)
        top = np.where(place >= 0, taxonomy.ancestors[place, 0], -1)
        columns = [np.flatnonzero(top == t) for t in taxonomy.level(1)]
        voters = min(VOTERS, len(place))
        likeness = np.full((len(vectors), len(columns)), -1.0, dtype=np.float32)
        nearest = np.full((len(vectors), VOTERS), -1, dtype=np.int64)
        similarity = np.full((len(vectors), VOTERS), -np.inf, dtype=np.float32)
        for rows in blocks(len(vectors), len(place) + 1):
            unit = _unit(np.asarray(vectors[rows]))
            near = unit @ self.vectors.T
            for column, those in enumerate(columns):
                if len(those):
                    skip = max(len(those) - TOP, 0)
                    likeness[rows, column] = np.partition(near[:, those], skip, axis=1)[:, skip:].mean(1)
            best = np.argpartition(near, len(place) - voters, axis=1)[:, -voters:]
            nearest[rows, :voters] = place[best]
            similarity[rows, :voters] = np.take_along_axis(near, best, 1)
            absent = rows.start + np.flatnonzero(~(np.abs(unit).sum(1) > 0))
            likeness[absent], similarity[absent], nearest[absent] = np.nan, np.nan, -1
        return Nearest(likeness[:, None], nearest[:, None], similarity[:, None])

    def _nodes(self, taxonomy: Taxonomy) -> np.ndarray:
        """(n,) where each product belongs in this tree, -1 where the tree lacks the place."""
        ids, which = np.unique(self.places, return_inverse=True)
        found = [taxonomy.find(str(place)) for place in ids]
        return np.array([-1 if node is None else node for node in found], dtype=np.int64)[which]


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
