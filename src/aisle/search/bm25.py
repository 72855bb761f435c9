"""Full-text search: BM25 over hashed words, one sparse matrix per segment."""

import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

_WORD = re.compile(r"\w+(?:[-./]\w+)*")
_PART = re.compile(r"[^\W_]+")
_K1, _B = 1.2, 0.75  # saturation of repeated words; normalisation by length


def words_of(text: str) -> list[str]:
    """The words of a text, casefolded; `WH-1000XM4` is one word, and its parts are words too."""
    words = []
    for compound in _WORD.findall(text.casefold()):
        parts = _PART.findall(compound)
        words += parts
        if len(parts) > 1:
            words.append("".join(parts))
    return words


def word_keys(text: str) -> list[int]:
    """The words of a text as 31-bit hashes, in order, with repetitions."""
    return [zlib.crc32(word.encode("utf-8", "replace")) >> 1 for word in words_of(text)]


class Bm25Index:
    """An inverted index of n texts.

    Args:
        ids: (F,) hashed words of all texts, concatenated.
        offsets: (n + 1,) start of each text.

    Attributes:
        size: n.
        length: F.
    """

    def __init__(self, ids: np.ndarray, offsets: np.ndarray) -> None:
        self.size, self.length = len(offsets) - 1, len(ids)
        self._lengths = np.diff(offsets).astype(np.float32)
        row = np.repeat(np.arange(self.size, dtype=np.int64), np.diff(offsets))
        # Sorted by word, then by text.
        keys, counts = np.unique(ids.astype(np.int64) << 32 | row, return_counts=True)
        self._row, self._count = (keys & 0xFFFFFFFF).astype(np.int32), counts.astype(np.float32)
        word, first = np.unique((keys >> 32).astype(np.int32), return_index=True)
        self._words, self._first = word, np.append(first, len(keys))

    def texts_with(self, word: int) -> int:
        """Number of texts with a word."""
        part = self._part(word)
        return part.stop - part.start

    def score(self, weights: Mapping[int, float], mean: float) -> tuple[np.ndarray, np.ndarray]:
        """BM25 scores of all texts, and how much of the query each has.

        Args:
            weights: idf of each word of the query.
            mean: the average length of a text.

        Returns:
            (n,) float32 scores, 0 for texts without any of the words; (n,) float32 share of the query's idf
            whose words the text has, 0 to 1.
        """
        out, covered = np.zeros(self.size, np.float32), np.zeros(self.size, np.float32)
        total = sum(weights.values()) or 1.0
        for word, weight in weights.items():
            part = self._part(word)
            row, count = self._row[part], self._count[part]
            norm = _K1 * (1 - _B + _B * self._lengths[row] / mean)
            out[row] += weight * count * (_K1 + 1) / (count + norm)
            covered[row] += weight / total
        return out, covered

    def _part(self, word: int) -> slice:
        index = int(np.searchsorted(self._words, word))
        if index == len(self._words) or self._words[index] != word:
            return slice(0, 0)
        return slice(int(self._first[index]), int(self._first[index + 1]))


def score_all(parts: Sequence[Bm25Index], text: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """`Bm25Index.score` of the texts of several segments, with common document frequencies.

    Source: Robertson & Zaragoza, "The probabilistic relevance framework: BM25 and beyond" (2009).

    Args:
        parts: the segments.
        text: the query.
    """
    total = sum(part.size for part in parts)
    mean = max(sum(part.length for part in parts) / max(total, 1), 1.0)
    weights = {}
    for word in set(word_keys(text)):
        df = sum(part.texts_with(word) for part in parts)
        weights[word] = float(np.log1p((total - df + 0.5) / (df + 0.5)))
    return [part.score(weights, mean) for part in parts]
