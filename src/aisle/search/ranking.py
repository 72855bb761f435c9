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


def fuse(
    by_vector: Sequence[tuple[int, float]],
    by_words: Sequence[tuple[int, float, float]],
    min_vector_weight: float = 0.0,
) -> list[RankedRow]:
    """Sort rows by a weighted mean of their cosine and their BM25 score divided by the highest.

    The cosine has the weight 1 - c, where c is the largest share of the query's idf that a row covers. If a
    row has all words of the query, words decide, and cosines only break ties: the fusion is not below words
    alone. Reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009) and constant weights were, for
    queries of exact words (docs/lab-notes.md).

    Args:
        by_vector: Rows and their cosines.
        by_words: Rows, their BM25 scores, and the share of the query's idf that each covers.
        min_vector_weight: The least weight of cosines, for queries whose vector tells more than their words.

    Returns:
        Rows of both, best first.
    """
    similarity, words = dict(by_vector), {row: score for row, score, _ in by_words}
    best = max(words.values(), default=0.0) or 1.0
    coverage = max((share for *_, share in by_words), default=0.0)
    weight = max(1 - min(coverage, 1.0), min_vector_weight)
    ranked = [
        RankedRow(
            row,
            weight * similarity.get(row, 0.0) + (1 - weight) * words.get(row, 0.0) / best,
            similarity.get(row),
            words.get(row),
        )
        for row in similarity.keys() | words.keys()
    ]
    return sorted(ranked, key=lambda one: (-one.score, -(one.similarity or 0.0), one.row))


def by_score(
    by_vector: Sequence[tuple[int, float]], by_words: Sequence[tuple[int, float, float]]
) -> list[RankedRow]:
    """Convert a single ranking; at least one of the two is empty.

    Args:
        by_vector: Rows and their cosines, best first.
        by_words: Rows, their BM25 scores and what they cover, best first.
    """
    if by_words:
        return [RankedRow(row, score, None, score) for row, score, _ in by_words]
    return [RankedRow(row, score, score, None) for row, score in by_vector]
