"""Cache of the features of whitespace-separated pieces of text.

Catalogs repeat their words: most pieces of a batch were seen before, so a batch of texts costs one dictionary
lookup per piece and a few gathers of arrays.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

MAX_PIECES = 100_000  # of about a quarter kilobyte each; beyond it the cache is cleared

Lookup = Callable[[str], tuple[list[int], list[int]]]


class TextFeatures(NamedTuple):
    """Words and features of N texts, concatenated.

    Attributes:
        words: (W,) numbers of the words, -1 for those not in the vocabulary.
        word_row: (W,) the text of each word.
        features: (F,) numbers of words and n-grams in the vocabulary.
        feature_row: (F,) the text of each feature.
    """

    words: np.ndarray
    word_row: np.ndarray
    features: np.ndarray
    feature_row: np.ndarray


class WordCache:
    """Thread-safe cache of pieces of text.

    Args:
        lookup: computes the words of a piece (-1: not in the vocabulary), and its features.
        max_pieces: pieces kept; beyond it the cache is cleared.
    """

    def __init__(self, lookup: Lookup, max_pieces: int = MAX_PIECES) -> None:
        self.lookup, self.max_pieces = lookup, max_pieces
        self._lock = threading.Lock()
        self._pieces = _Pieces()

    def __call__(self, texts: Sequence[str | None]) -> TextFeatures:
        """Look up N texts, None where the view is missing."""
        split = [text.split() if text else () for text in texts]
        pieces = list(chain.from_iterable(split))
        row = np.repeat(np.arange(len(split)), np.fromiter(map(len, split), np.int64, len(split)))
        if len(self._pieces.number) > self.max_pieces:
            self._pieces = _Pieces()
        cached = self._pieces  # another thread may clear the cache meanwhile
        number = cached.numbers(pieces)
        new = np.flatnonzero(number < 0)
        if len(new):
            with self._lock:
                cached.add(dict.fromkeys(pieces[i] for i in new), self.lookup)
            number[new] = cached.numbers([pieces[i] for i in new])
        words, n_words = cached.words.take(number)
        features, n_features = cached.features.take(number)
        return TextFeatures(words, np.repeat(row, n_words), features, np.repeat(row, n_features))


class _Pieces:
    """Numbers of pieces, with their words and features by number.

    Reading needs no lock: a piece gets its number after its rows are written, and rows never change.
    """

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.words, self.features = _RaggedArray(), _RaggedArray()

    def numbers(self, pieces: list[str]) -> np.ndarray:
        """The number of each piece, -1 where it is not cached."""
        return np.fromiter(map(self.number.get, pieces, repeat(-1)), np.int64, len(pieces))

    def add(self, pieces: Iterable[str], lookup: Lookup) -> None:
        new = [piece for piece in pieces if piece not in self.number]  # another thread may have added some
        rows = [lookup(piece) for piece in new]
        self.words.extend([words for words, _ in rows])
        self.features.extend([features for _, features in rows])
        self.number.update(zip(new, range(len(self.number), len(self.number) + len(new)), strict=True))


class _RaggedArray:
    """Rows of integers of different lengths, in one array that grows."""

    def __init__(self) -> None:
        self._values, self._ends = np.zeros(1024, np.int32), np.zeros(1024, np.int64)
        self._rows = 0

    def extend(self, rows: list[list[int]]) -> None:
        lengths = np.array([len(row) for row in rows], np.int64)
        end, stop = int(self._ends[self._rows]), self._rows + len(rows)
        ends = end + np.cumsum(lengths)
        self._values = _reserve(self._values, end, end + int(lengths.sum()))
        self._ends = _reserve(self._ends, self._rows + 1, stop + 1)
        self._values[end : end + int(lengths.sum())] = list(chain.from_iterable(rows))
        self._ends[self._rows + 1 : stop + 1] = ends
        self._rows = stop

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values of these rows, concatenated, and the length of each row."""
        start, length = self._ends[rows], self._ends[rows + 1] - self._ends[rows]
        before = np.cumsum(length) - length
        at = np.arange(int(length.sum())) + np.repeat(start - before, length)
        return self._values[at], length


def _reserve(array: np.ndarray, used: int, size: int) -> np.ndarray:
    """The array, or a larger copy of its `used` first values if it is shorter than `size`."""
    if size <= len(array):
        return array
    larger = np.zeros(max(size, 2 * len(array)), array.dtype)
    larger[:used] = array[:used]
    return larger
