"""Fusion of two rankings: by vectors and by words."""

from collections.abc import Sequence
from typing import NamedTuple

DEPTH = 100  # products of each ranking, at least


class RankedRow(NamedTuple):
    """A row of the fused ranking.

    Attributes:
        row: Number of the row.
        score: Score that rows are sorted by.
        similarity: Cosine with the query; None if it was not computed.
        words: BM25 score; None if it was not computed.
    """

    row: int
    score: float
    similarity: float | None
    words: float | None


def fuse(by_vector: Sequence[tuple[int, float]], by_words: Sequence[tuple[int, float]]) -> list[RankedRow]:
    """Sort rows by the mean of their cosine and their BM25 score divided by the highest.

    Reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009) was worse than words alone for queries of
    exact words (docs/lab-notes.md).

    Args:
        by_vector: Rows and their cosines.
        by_words: Rows and their BM25 scores.

    Returns:
        Rows of both, best first.
    """
    similarity, words = dict(by_vector), dict(by_words)
    best = max(words.values(), default=0.0) or 1.0
    ranked = [
        RankedRow(
            row,
            (similarity.get(row, 0.0) + words.get(row, 0.0) / best) / 2,
            similarity.get(row),
            words.get(row),
        )
        for row in similarity.keys() | words.keys()
    ]
    return sorted(ranked, key=lambda ranked_row: (-ranked_row.score, ranked_row.row))


def by_score(
    by_vector: Sequence[tuple[int, float]], by_words: Sequence[tuple[int, float]]
) -> list[RankedRow]:
    """Convert a single ranking; at least one of the two is empty.

    Args:
        by_vector: Rows and their cosines, best first.
        by_words: Rows and their BM25 scores, best first.
    """
    if by_words:
        return [RankedRow(row, score, None, score) for row, score in by_words]
    return [RankedRow(row, score, score, None) for row, score in by_vector]
