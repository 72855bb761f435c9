"""Finds near-duplicate texts: candidates by MinHash, then the cosine of TF-IDF vectors.

The features of a text are its words and character trigrams, so that a typing error costs little.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sparse

from aisle.data.text import normalize
from aisle.search.bm25 import word_keys

MIN_SIMILARITY = 0.7  # cosine of near-duplicate texts
MIN_TITLE_SIMILARITY = 0.4  # cosine of their titles
_MIN_INFORMATION = 20.0  # total idf (nats) of the words of a text, below which it is too unspecific
_MIN_CORPUS = 1000  # texts that idf is computed over, at least: with few, common words look rare
_BANDS, _ROWS = 40, 2  # of MinHash: texts that share a quarter of their words collide with probability .9
_MAX_BUCKET = 60  # texts in a bucket; more share boilerplate
_PRIME = (1 << 31) - 1  # a Mersenne prime: hashes are (a x + b) mod p


def similar_texts(titles: Sequence[str], descriptions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Find near-duplicate texts.

    Args:
        titles: n titles.
        descriptions: n descriptions.

    Returns:
        Pairs (E, 2) of positions, the lower first, and their cosine (E,), over title and description.
    """
    normalized = [normalize(title) for title in titles]
    texts = [f"{a} {normalize(b)}".strip() for a, b in zip(normalized, descriptions, strict=True)]
    pairs = _candidates(texts)
    matrix, information = _tfidf(texts)
    pairs = pairs[(information[pairs] >= _MIN_INFORMATION).all(1)]
    similarity = _cosines(matrix, pairs)
    similar = similarity >= MIN_SIMILARITY
    pairs, similarity = pairs[similar], similarity[similar]
    # Descriptions may be boilerplate that differs in the title only.
    is_similar = _cosines(_tfidf(normalized)[0], pairs) >= MIN_TITLE_SIMILARITY
    return pairs[is_similar], similarity[is_similar]


def _cosines(matrix: Any, pairs: np.ndarray) -> np.ndarray:
    parts = np.array_split(pairs, max(1, len(pairs) // 20_000))
    cosines = [np.asarray(matrix[p[:, 0]].multiply(matrix[p[:, 1]]).sum(1)).ravel() for p in parts]
    return np.concatenate(cosines)


def _tfidf(texts: Sequence[str]) -> tuple[Any, np.ndarray]:
    """(n, F) unit TF-IDF rows over words and character trigrams, and (n,) the total idf of the words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(texts):
        return sparse.csr_matrix((len(texts), 1)), np.zeros(len(texts))
    words = TfidfVectorizer(token_pattern=r"\S+", sublinear_tf=True)
    by_word = words.fit_transform(texts)
    df = np.asarray((by_word > 0).sum(0)).ravel()
    information = np.asarray((by_word > 0) @ np.log((_MIN_CORPUS + len(texts)) / (1 + df))).ravel()
    trigrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True, max_features=60_000)
    half = 0.5**0.5
    return sparse.hstack([by_word * half, trigrams.fit_transform(texts) * half], "csr"), information


def _candidates(texts: Sequence[str]) -> np.ndarray:
    """(E, 2) pairs that share a band of their MinHash signatures (Broder 1997; Leskovec et al., ch. 3)."""
    keys = [word_keys(text) for text in texts]
    filled = np.array([i for i, row_keys in enumerate(keys) if row_keys], np.int64)
    if len(filled) < 2:
        return np.zeros((0, 2), np.int64)
    sizes = [len(keys[i]) for i in filled]
    flat = np.concatenate([np.array(keys[i], np.uint64) for i in filled])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rng = np.random.default_rng(0)
    pairs: list[np.ndarray] = []
    for _ in range(_BANDS):
        band = np.zeros(len(filled), np.uint64)
        for _ in range(_ROWS):
            a, b = (np.uint64(x) for x in rng.integers(1, _PRIME, 2))
            minimum = np.minimum.reduceat((flat * a + b) % np.uint64(_PRIME), starts)
            band = band * np.uint64(_PRIME) + minimum
        pairs.append(filled[within_buckets(band, _MAX_BUCKET)])
    return np.unique(np.concatenate(pairs), axis=0)


def within_buckets(values: np.ndarray, max_size: int) -> np.ndarray:
    """Pairs of positions with equal values.

    Args:
        values: (n,) the values.
        max_size: of values that more positions share, only consecutive positions are paired.

    Returns:
        (E, 2) positions, the lower first.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    sizes = np.diff(edges)
    parts = [np.zeros((0, 2), np.int64)]
    for step in range(1, min(int(sizes.max(initial=1)), max_size)):
        # Pairs `step` apart in one bucket.
        reach = np.repeat(np.where(sizes <= max_size, sizes, 2), sizes)
        first = np.flatnonzero(ordered[step:] == ordered[:-step])
        first = first[step < reach[first]]
        parts.append(np.stack([order[first], order[first + step]], 1))
    return np.sort(np.concatenate(parts), axis=1)
