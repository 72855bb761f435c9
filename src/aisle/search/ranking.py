"""Two rankings as one: what is near in meaning, and what has the very words."""

from collections.abc import Sequence
from typing import NamedTuple

DEPTH = 100  # products that each ranking brings
_SOON = 60  # reciprocal rank fusion's constant (Cormack, Clarke & Büttcher, SIGIR 2009)


class Ranked(NamedTuple):
    """A row in the fused ranking: its score, the cosine and the BM25 score, None where it has none."""

    row: int
    score: float
    similarity: float | None
    words: float | None


def fused(near: Sequence[tuple[int, float]], told: Sequence[tuple[int, float]]) -> list[Ranked]:
    """By reciprocal ranks: 1 / (60 + rank) in each ranking, summed."""
    similarity, words = dict(near), dict(told)
    score: dict[int, float] = {}
    for ranking in (near, told):
        for rank, (row, _) in enumerate(ranking, 1):
            score[row] = score.get(row, 0.0) + 1 / (_SOON + rank)
    found = [Ranked(row, s, similarity.get(row), words.get(row)) for row, s in score.items()]
    return sorted(found, key=lambda one: -one.score)


def by_score(near: Sequence[tuple[int, float]], told: Sequence[tuple[int, float]]) -> list[Ranked]:
    """One ranking as it is; at most one of the two is not empty."""
    if told:
        return [Ranked(row, score, None, score) for row, score in told]
    return [Ranked(row, score, score, None) for row, score in near]
