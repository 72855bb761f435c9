"""Full text: BM25 over hashed words, a sparse matrix a segment."""

import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

_WORD = re.compile(r"\w+(?:[-./]\w+)*")
_PART = re.compile(r"[^\W_]+")
_K1, _B = 1.2, 0.75  # how soon repetition stops counting; how much long texts are held back


def words_of(text: str) -> list[str]:
    """The words of a text, casefolded; `WH-1000XM4` is one word, and its parts are words too."""
    found = []
    for whole in _WORD.findall(text.casefold()):
        parts = _PART.findall(whole)
        found += parts
        if len(parts) > 1:
            found.append("".join(parts))
    return found


def word_keys(text: str) -> list[int]:
    """A text's words as 31-bit hashes, in order, repetitions kept."""
    return [zlib.crc32(word.encode("utf-8", "replace")) >> 1 for word in words_of(text)]


class Bm25Index:
    """n texts of hashed words, found by word. ids (F,): the words of all texts in a row; offsets (n + 1,)
    where each text begins. length: the words of all texts together."""

    def __init__(self, ids: np.ndarray, offsets: np.ndarray) -> None:
        self.size, self.length = len(offsets) - 1, len(ids)
        self._lengths = np.diff(offsets).astype(np.float32)
        row = np.repeat(np.arange(self.size, dtype=np.int64), np.diff(offsets))
        # One sort orders by word, then by text; how often each pair occurs follows.
        keys, counts = np.unique(ids.astype(np.int64) << 32 | row, return_counts=True)
        self._row, self._count = (keys & 0xFFFFFFFF).astype(np.int32), counts.astype(np.float32)
        word, first = np.unique((keys >> 32).astype(np.int32), return_index=True)
        self._words, self._first = word, np.append(first, len(keys))

    def texts_with(self, word: int) -> int:
        """How many texts hold a word."""
        part = self._part(word)
        return part.stop - part.start

    def score(self, weights: Mapping[int, float], mean: float) -> np.ndarray:
        """(n,) float32 BM25 of each text for words with these weights (their idf); 0 where it has none of
        them. mean: the average length of a text."""
        out = np.zeros(self.size, np.float32)
        for word, weight in weights.items():
            part = self._part(word)
            row, count = self._row[part], self._count[part]
            held = _K1 * (1 - _B + _B * self._lengths[row] / mean)
            out[row] += weight * count * (_K1 + 1) / (count + held)
        return out

    def _part(self, word: int) -> slice:
        at = int(np.searchsorted(self._words, word))
        if at == len(self._words) or self._words[at] != word:
            return slice(0, 0)
        return slice(int(self._first[at]), int(self._first[at + 1]))


def score_all(parts: Sequence[Bm25Index], text: str) -> list[np.ndarray]:
    """What each text of several segments scores for the words of a query, as if they were one (Robertson &
    Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009)."""
    total = sum(part.size for part in parts)
    mean = max(sum(part.length for part in parts) / max(total, 1), 1.0)
    weights = {}
    for word in set(word_keys(text)):
        having = sum(part.texts_with(word) for part in parts)
        weights[word] = float(np.log1p((total - having + 0.5) / (having + 0.5)))
    return [part.score(weights, mean) for part in parts]
