"""Similar titles: TF-IDF cosine of character trigrams, with candidates from MinHash.

Inverse document frequencies are equal for all trigrams of fewer than one title in a hundred. So the fixed
words of a template ("Phone case for model 17") have low weights, and the words that differ have high weights.

Candidates are found by MinHash with banding (Broder 1997; Leskovec, Rajaraman & Ullman, "Mining of Massive
Datasets", 3.4), so time grows with the number of titles, not of pairs. Titles that share a band with many
others are compared with their neighbors in alphabetical order only.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse

SIMILAR = 0.8  # smallest cosine of similar titles
_GRAM = 3
_BANDS, _ROWS = 12, 4  # finds 0.96 of pairs with Jaccard similarity 0.7, 0.54 of those with 0.5
_NEIGHBOURS = 6  # titles of one band that each is compared with
_BUCKETS = 1 << 20  # of hashed trigrams
_RARE = np.log(100)
_COMMON = 0.25  # the weight of a trigram that every title has
_CHUNK = 200_000  # titles, or pairs, processed together
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)


class SimilarPairs(NamedTuple):
    """Pairs of similar titles.

    Attributes:
        pairs: (E, 2) positions, the smaller first.
        cosine: (E,) their cosines.
    """

    pairs: np.ndarray
    cosine: np.ndarray


def similar_titles(titles: Sequence[str]) -> SimilarPairs:
    """Find the pairs of similar titles.

    Args:
        titles: Distinct titles, normalized by `aisle.data.text.normalize`, in alphabetical order.
    """
    if len(titles) < 2:
        return SimilarPairs(np.empty((0, 2), np.int64), np.empty(0))
    parts = [_trigrams(titles[start : start + _CHUNK]) for start in range(0, len(titles), _CHUNK)]
    candidates = _candidates(np.concatenate([_minhash_bands(*part) for part in parts]))
    weights = _tfidf(parts, len(titles))
    cosine = np.concatenate([np.empty(0), *(_cosines(weights, chunk) for chunk in _chunks(candidates))])
    kept = cosine >= SIMILAR
    return SimilarPairs(candidates[kept], cosine[kept])


def _trigrams(titles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the trigrams of all titles, one title after another, and the start of each title."""
    padded = [f" {title} ".ljust(_GRAM) for title in titles]
    signs = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded])
    ends = np.cumsum(lengths)
    inside = np.ones(len(signs), bool)
    for back in range(1, _GRAM):  # trigrams that would reach into the next title
        inside[ends - back] = False
    hashed = np.zeros(len(signs), np.uint64)
    for step in range(_GRAM):
        hashed = hashed * _PRIME + np.roll(signs, -step)
    starts = np.concatenate([[0], np.cumsum(lengths - _GRAM + 1)])
    return _mix(hashed[inside]), starts


def _mix(values: np.ndarray) -> np.ndarray:
    """Hashes whose high bits depend on all of them (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return values ^ (values >> np.uint64(27))


def _minhash_bands(hashed: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(n, bands) uint64 MinHash bands: two titles share a band with probability Jaccard**4."""
    rng = np.random.default_rng(0)
    bands = np.zeros((len(starts) - 1, _BANDS), np.uint64)
    for band in range(_BANDS):
        for _ in range(_ROWS):
            salt = rng.integers(1 << 62, dtype=np.uint64)
            minimum = np.minimum.reduceat(_mix((hashed ^ salt) * _MIX), starts[:-1])
            bands[:, band] = _mix(bands[:, band] * _PRIME + minimum)
    return bands


def _candidates(bands: np.ndarray) -> np.ndarray:
    """(E, 2) pairs that share a band, each once."""
    n, pairs = len(bands), [np.empty(0, np.int64)]
    for band in bands.T:
        order = np.argsort(band, kind="stable")  # within a band in alphabetical order
        positions = np.arange(n)
        for step in range(1, _NEIGHBOURS + 1):
            positions = positions[positions + step < n]
            positions = positions[band[order[positions]] == band[order[positions + step]]]
            pairs.append(order[positions] * np.int64(n) + order[positions + step])
        if len(pairs) > 8 * _NEIGHBOURS:
            pairs = [np.unique(np.concatenate(pairs))]
    codes = np.unique(np.concatenate(pairs))
    return np.stack([codes // n, codes % n], 1)


def _tfidf(parts: Sequence[tuple[np.ndarray, np.ndarray]], n: int) -> Any:
    """(n, buckets) weighted trigrams of each title, with norm 1."""
    matrices = []
    for hashed, starts in parts:
        bucket = (hashed >> np.uint64(44)).astype(np.int32)
        ones = np.ones(len(bucket), np.float32)
        matrix: Any = sparse.csr_array((ones, bucket, starts), (len(starts) - 1, _BUCKETS))
        matrix.sum_duplicates()
        matrix.data[:] = 1
        matrices.append(matrix)
    table: Any = sparse.vstack(matrices, format="csr")
    document_frequency = np.bincount(table.indices, minlength=_BUCKETS)
    idf = np.minimum(np.log(n / np.maximum(document_frequency, 1)), _RARE) / _RARE  # 0 to 1
    table.data = (_COMMON + (1 - _COMMON) * idf).astype(np.float32)[table.indices]
    norm = np.sqrt(np.add.reduceat(table.data**2, table.indptr[:-1]))
    table.data /= np.repeat(norm, np.diff(table.indptr))
    return table


def _chunks(pairs: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(pairs), _CHUNK):
        yield pairs[start : start + _CHUNK]


def _cosines(weights: Any, pairs: np.ndarray) -> np.ndarray:
    return np.asarray(weights[pairs[:, 0]].multiply(weights[pairs[:, 1]]).sum(axis=1)).ravel()
