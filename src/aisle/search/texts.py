"""Listings whose texts say the same: candidates by MinHash, then compared word by word.

n texts; a text's features are its words and the letter triples of these, so that a typing mistake costs a
little and not a word.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sparse

from aisle.data.text import normalize
from aisle.search.bm25 import word_keys

ALIKE = 0.7  # cosine from which on two texts say the same
NAMED = 0.4  # cosine that their titles have at least
_TOLD = 20.0  # nats of rarity that a text's words must have together, or it says too little to be known by
_FEW = 1000  # texts that rarity is counted among at least: few texts cannot tell which words are common
_BANDS, _ROWS = 40, 2  # of the MinHash: two texts that share a quarter of their words meet 9 times in 10
_CROWD = 60  # texts in a bucket: more share boilerplate
_PRIME = (1 << 31) - 1  # a Mersenne prime: hashes are (a x + b) mod p


def similar_texts(titles: Sequence[str], descriptions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of positions (E, 2), the lower first, and how alike their texts are (E,): the cosine of what is
    said, title and description together, rare words counting more."""
    named = [normalize(title) for title in titles]
    texts = [f"{a} {normalize(b)}".strip() for a, b in zip(named, descriptions, strict=True)]
    pairs = _candidates(texts)
    matrix, told = _weighted(texts)
    pairs = pairs[(told[pairs] >= _TOLD).all(1)]
    similarity = _cosines(matrix, pairs)
    pairs, similarity = pairs[similarity >= ALIKE], similarity[similarity >= ALIKE]
    # A shop's boilerplate is the same below every title.
    near = _cosines(_weighted(named)[0], pairs) >= NAMED
    return pairs[near], similarity[near]


def _cosines(matrix: Any, pairs: np.ndarray) -> np.ndarray:
    parts = np.array_split(pairs, max(1, len(pairs) // 20_000))
    found = [np.asarray(matrix[p[:, 0]].multiply(matrix[p[:, 1]]).sum(1)).ravel() for p in parts]
    return np.concatenate(found)


def _weighted(texts: Sequence[str]) -> tuple[Any, np.ndarray]:
    """(n, F) unit rows of TF-IDF over words and letter triples, and (n,) how much each text's words tell."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(texts):
        return sparse.csr_matrix((len(texts), 1)), np.zeros(len(texts))
    words = TfidfVectorizer(token_pattern=r"\S+", sublinear_tf=True)
    by_word = words.fit_transform(texts)
    having = np.asarray((by_word > 0).sum(0)).ravel()
    told = np.asarray((by_word > 0) @ np.log((_FEW + len(texts)) / (1 + having))).ravel()
    triples = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True, max_features=60_000)
    half = 0.5**0.5
    return sparse.hstack([by_word * half, triples.fit_transform(texts) * half], "csr"), told


def _candidates(texts: Sequence[str]) -> np.ndarray:
    """(E, 2) pairs that share a band of their MinHashes (Broder 1997; Leskovec et al., ch. 3)."""
    keys = [word_keys(text) for text in texts]
    filled = np.array([i for i, own in enumerate(keys) if own], np.int64)
    if len(filled) < 2:
        return np.zeros((0, 2), np.int64)
    sizes = [len(keys[i]) for i in filled]
    flat = np.concatenate([np.array(keys[i], np.uint64) for i in filled])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rng = np.random.default_rng(0)
    found: list[np.ndarray] = []
    for _ in range(_BANDS):
        band = np.zeros(len(filled), np.uint64)
        for _ in range(_ROWS):
            a, b = (np.uint64(x) for x in rng.integers(1, _PRIME, 2))
            least = np.minimum.reduceat((flat * a + b) % np.uint64(_PRIME), starts)
            band = band * np.uint64(_PRIME) + least
        found.append(filled[within_buckets(band, _CROWD)])
    return np.unique(np.concatenate(found), axis=0)


def within_buckets(values: np.ndarray, crowd: int) -> np.ndarray:
    """(E, 2) every pair of positions with the same value, the lower first; of values that more than `crowd`
    share, each position with the next one only."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    sizes = np.diff(edges)
    parts = [np.zeros((0, 2), np.int64)]
    for step in range(1, min(int(sizes.max(initial=1)), crowd)):
        # Pairs `step` apart in one bucket; a crowded bucket gives its neighbours alone.
        reach = np.repeat(np.where(sizes <= crowd, sizes, 2), sizes)
        first = np.flatnonzero(ordered[step:] == ordered[:-step])
        first = first[step < reach[first]]
        parts.append(np.stack([order[first], order[first + step]], 1))
    return np.sort(np.concatenate(parts), axis=1)
