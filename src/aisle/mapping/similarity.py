"""Similarities of categories of two trees: of words, character n-grams, embeddings and product texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from aisle.mapping.sides import TreeSide, words

Encoder = Callable[[Sequence[str]], np.ndarray]
"""B texts -> (B, D) vectors of unit length; a missing one is zero."""
_MOST_TITLES = 50  # of a category
_CHUNK = 512  # rows of a similarity matrix at a time


@dataclass(frozen=True)
class Vectors:
    """Unit vectors of S categories of one tree and, by language, of M categories of the other.

    Attributes:
        source: (S, D).
        target: J times (M, D).
    """

    source: "sparse.csr_matrix | np.ndarray"
    target: "list[sparse.csr_matrix | np.ndarray]"

    def pairs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(P,) the cosine similarity of P pairs, the best over languages."""
        left = self.source[rows]
        return np.maximum.reduce([_dots(left, target[columns]) for target in self.target])

    def best(self, k: int) -> np.ndarray:
        """(S, k) the nearest categories of each one, nearest first."""
        return self.best_of(np.arange(size_of(self.source)[0]), k)

    def best_of(self, rows: np.ndarray, k: int) -> np.ndarray:
        """(B, k) the nearest categories of some rows, nearest first."""
        k = min(k, size_of(self.target[0])[0])
        found = np.zeros((len(rows), k), np.int64)
        for start in range(0, len(rows), _CHUNK):
            part = self.source[rows[start : start + _CHUNK]]
            similar = np.maximum.reduce([_product(part, target) for target in self.target])
            top = np.argpartition(-similar, k - 1, axis=1)[:, :k]
            order = np.take_along_axis(-similar, top, 1).argsort(1, kind="stable")
            found[start : start + _CHUNK] = np.take_along_axis(top, order, 1)
        return found


def size_of(matrix: Any) -> tuple[int, int]:
    """Rows and columns of a matrix."""
    return matrix.shape


def _product(left: "sparse.csr_matrix | np.ndarray", right: "sparse.csr_matrix | np.ndarray") -> np.ndarray:
    found: Any = left @ right.T
    return found.toarray() if sparse.issparse(found) else np.asarray(found)


def _dots(left: "sparse.csr_matrix | np.ndarray", right: "sparse.csr_matrix | np.ndarray") -> np.ndarray:
    if isinstance(left, sparse.csr_matrix):
        return np.asarray(left.multiply(right).sum(1)).ravel()
    return (np.asarray(left) * np.asarray(right)).sum(1)


def word_vectors(left: Sequence[str], right: Sequence[Sequence[str]]) -> Vectors:
    """TF-IDF of words."""
    options: dict[str, Any] = {"analyzer": words, "sublinear_tf": True, "dtype": np.float32}
    return _fitted(TfidfVectorizer(**options), left, right)


def character_vectors(left: Sequence[str], right: Sequence[Sequence[str]]) -> Vectors:
    """TF-IDF of character n-grams of words."""
    options: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 4), "preprocessor": _joined}
    return _fitted(TfidfVectorizer(**options, sublinear_tf=True, dtype=np.float32), left, right)  # type: ignore


def _joined(text: str) -> str:
    return " ".join(words(text))


def _fitted(vectorizer: TfidfVectorizer, left: Sequence[str], right: Sequence[Sequence[str]]) -> Vectors:
    texts = [*left, *(text for variant in right for text in variant)]
    if not any(words(text) for text in texts):
        blank = sparse.csr_matrix((len(left), 1), dtype=np.float32)
        return Vectors(blank, [sparse.csr_matrix((len(variant), 1), dtype=np.float32) for variant in right])
    vectorizer.fit(texts)
    return Vectors(
        sparse.csr_matrix(vectorizer.transform(left)),
        [sparse.csr_matrix(vectorizer.transform(variant)) for variant in right],
    )


def encoded(encoder: Encoder, left: Sequence[str], right: Sequence[Sequence[str]]) -> Vectors:
    """Embeddings of a pretrained encoder."""
    return Vectors(encoder(left), [encoder(variant) for variant in right])


def product_texts(side: TreeSide) -> list[str]:
    """(M,) the titles of each category's products, joined; empty where it has none."""
    return [" ".join(list(side.texts.get(node, ()))[:_MOST_TITLES]) for node in range(len(side.taxonomy))]
