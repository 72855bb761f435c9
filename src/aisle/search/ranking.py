"""Two rankings as one: what is near in meaning, and what has the very words."""

from collections.abc import Sequence
from typing import NamedTuple

DEPTH = 100  # products that each ranking brings


class RankedRow(NamedTuple):
    """A row in the fused ranking: its score, the cosine and the BM25 score, None where it has none."""

    row: int
    score: float
    similarity: float | None
    words: float | None


def fuse(near: Sequence[tuple[int, float]], matching: Sequence[tuple[int, float]]) -> list[RankedRow]:
    """Order rows by the mean of the cosine and of BM25 as a share of the best one.

    Reciprocal ranks (Cormack, Clarke & Büttcher, SIGIR 2009) lost to words alone where exact words were asked
    for (docs/lab-notes.md).
    """
    similarity, words = dict(near), dict(matching)
    best = max(words.values(), default=0.0) or 1.0
    found = [
        RankedRow(
            row,
            (similarity.get(row, 0.0) + words.get(row, 0.0) / best) / 2,
            similarity.get(row),
            words.get(row),
        )
        for row in similarity.keys() | words.keys()
    ]
    return sorted(found, key=lambda one: (-one.score, one.row))


def by_score(near: Sequence[tuple[int, float]], matching: Sequence[tuple[int, float]]) -> list[RankedRow]:
    """One ranking as it is; at most one of the two is not empty."""
    if matching:
        return [RankedRow(row, score, None, score) for row, score in matching]
    return [RankedRow(row, score, score, None) for row, score in near]
