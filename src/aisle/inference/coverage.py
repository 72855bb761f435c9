"""Chooses products that stand for many others: facility location, weighted by uncertainty."""

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

_BLOCK = 1024  # rows whose similarities to all others are computed at once
_LONGEST = 1_000  # characters of a text that are compared
_POWER = 4  # of a cosine: how much less a product says of others than of its equals
_CANDIDATES = 5_000  # products that are compared with each other: a sample, by weight

_TERMS: tuple[dict[str, Any], ...] = (
    {"ngram_range": (1, 2), "min_df": 2, "sublinear_tf": True},
    {"analyzer": "char_wb", "ngram_range": (3, 5), "min_df": 3, "sublinear_tf": True},
    {"sublinear_tf": True},
)


class CoverChoice(NamedTuple):
    """Products in the order chosen.

    Attributes:
        chosen: (k,) their numbers.
        gain: (k,) weight that each covers in addition to those before it.
        stands_for: (k,) number of products whose most similar chosen product it is, itself included.
    """

    chosen: np.ndarray
    gain: np.ndarray
    stands_for: np.ndarray


def text_vectors(texts: Sequence[str], titles: Sequence[str]) -> sparse.csr_matrix:
    """(n, F) TF-IDF: words and pairs of the text, letters and words of the title, in equal parts.

    A row's squared length is at most 1, so that products of two rows are at most 1.
    """
    parts = []
    for given, options in zip((texts, titles, titles), _TERMS, strict=True):
        try:
            parts.append(TfidfVectorizer(**options).fit_transform([text[:_LONGEST] for text in given]))
        except ValueError:  # no word is frequent enough
            continue
    if not parts:
        return sparse.csr_matrix((len(texts), 1), dtype=np.float32)
    found = sparse.csr_matrix(sparse.hstack(parts), dtype=np.float32)
    return found * np.float32(len(parts) ** -0.5)


def similarities(rows: Any, others: Any) -> np.ndarray:
    """(n, m) float32 similarities from 0 to 1: powers of cosines of rows of two matrices, sparse or dense."""
    found = rows @ others.T
    dense = found.toarray() if sparse.issparse(found) else np.asarray(found)
    return np.clip(dense, 0, 1).astype(np.float32) ** _POWER


def learning_weight(uncertainty: np.ndarray, probabilities: Any, labelled: np.ndarray) -> np.ndarray:
    """(n,) uncertainty, times how few labels the likely categories have: 1 over the root of one more.

    Args:
        uncertainty: (n,) 0 to 1.
        probabilities: (n, C) of categories, sparse or dense.
        labelled: (C,) number of labelled products of each.
    """
    return uncertainty * (probabilities @ (labelled + 1.0) ** -0.5)


def choose_informative(
    weight: np.ndarray,
    texts: Sequence[str],
    titles: Sequence[str],
    embeddings: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> CoverChoice:
    """Choose products that stand for many others of high weight, by text or (without any) by embeddings.

    Args:
        weight: (n,) not negative, see `learning_weight`.
        texts: (n,) all that is read of each product.
        titles: (n,) their titles.
        embeddings: (n, D) vectors.
        count: Number of products to choose, at most.
        rng: Of the sample of candidates, where there are many.
    """
    candidates, most = np.arange(len(weight)), max(_CANDIDATES, 2 * count)
    if len(candidates) > most:
        share = np.maximum(weight, 1e-9)
        candidates = np.sort(rng.choice(candidates, most, replace=False, p=share / share.sum()))
    picked = candidates.tolist()
    vectors: Any = text_vectors([texts[i] for i in picked], [titles[i] for i in picked])
    if not vectors.nnz:
        vectors = normalize(embeddings[candidates].astype(np.float32))
    best = choose_covering(weight[candidates], similarities(vectors, vectors), count)
    return best._replace(chosen=candidates[best.chosen])


def choose_covering(weight: np.ndarray, similarity: np.ndarray, count: int) -> CoverChoice:
    """Choose products to which many products of high weight are similar, one by one.

    Each is the one that adds most to the sum over all products of weight times similarity to the most similar
    product chosen (facility location, by the lazy greedy algorithm of Minoux 1978).

    Args:
        weight: (n,) not negative.
        similarity: (n, n) float32, 0 to 1; of a product to itself, 1 is assumed.
        count: Number of products to choose, at most.
    """
    np.fill_diagonal(similarity, 1.0)
    best = np.zeros(len(weight), np.float32)
    weight = weight.astype(np.float32)
    gain = np.concatenate(
        [
            np.maximum(similarity[start : start + _BLOCK] - best, 0) @ weight
            for start in range(0, len(weight), _BLOCK)
        ]
        or [np.zeros(0, np.float32)]
    )
    heap = [(-float(value), i, 0) for i, value in enumerate(gain)]
    heapq.heapify(heap)
    chosen: list[int] = []
    gains: list[float] = []
    nearest = np.full(len(weight), -1)
    while heap and len(chosen) < count:
        value, i, when = heapq.heappop(heap)
        if when < len(chosen):
            fresh = float(np.maximum(similarity[i] - best, 0) @ weight)
            heapq.heappush(heap, (-fresh, i, len(chosen)))
            continue
        nearest[similarity[i] > best] = len(chosen)
        nearest[i] = len(chosen)
        best = np.maximum(best, similarity[i])
        chosen.append(i)
        gains.append(-value)
    stands_for = np.bincount(nearest[nearest >= 0], minlength=len(chosen))
    return CoverChoice(np.array(chosen, np.int64), np.array(gains), stands_for)
