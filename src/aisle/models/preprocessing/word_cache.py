"""Pieces of text between blanks, and what a vocabulary knows of each: found once, then remembered.

Catalogues say the same words over and over: most pieces of a batch were met before, and a batch of texts
becomes a lookup a piece and a few gathers of arrays, in place of work on every word and its spelling.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

MOST = 100_000  # pieces remembered, of about a quarter kilobyte each; then all are forgotten

Look = Callable[[str], tuple[list[int], list[int]]]


class TextFeatures(NamedTuple):
    """What N texts hold, text after text. words: (W,) numbers of their words, -1 of those not known, and
    word_row: (W,) the text each stands in; features: (F,) numbers of words and n-grams, and feature_row."""

    words: np.ndarray
    word_row: np.ndarray
    features: np.ndarray
    feature_row: np.ndarray


class WordCache:
    """What a vocabulary knows of pieces of text, remembered. Several threads may ask at once.

    look: a piece's words (-1: not known), and the features in it. most: pieces remembered.
    """

    def __init__(self, look: Look, most: int = MOST) -> None:
        self.look, self.most = look, most
        self._lock = threading.Lock()
        self._kept = _Kept()

    def __call__(self, texts: Sequence[str | None]) -> TextFeatures:
        """N texts, None for an absent one."""
        split = [text.split() if text else () for text in texts]
        pieces = list(chain.from_iterable(split))
        row = np.repeat(np.arange(len(split)), np.fromiter(map(len, split), np.int64, len(split)))
        if len(self._kept.number) > self.most:  # streams of titles never stop inventing words
            self._kept = _Kept()
        kept = self._kept
        number = _numbers(kept, pieces)
        new = np.flatnonzero(number < 0)
        if len(new):
            with self._lock:
                kept.add(dict.fromkeys(pieces[i] for i in new), self.look)
            number[new] = _numbers(kept, [pieces[i] for i in new])
        words, in_words = kept.words.take(number)
        features, in_features = kept.features.take(number)
        return TextFeatures(words, np.repeat(row, in_words), features, np.repeat(row, in_features))


def _numbers(kept: "_Kept", pieces: list[str]) -> np.ndarray:
    return np.fromiter(map(kept.number.get, pieces, repeat(-1)), np.int64, len(pieces))


class _Kept:
    """Pieces by number, and rows of what is known of each. A reader needs no lock: a piece gets its number
    when its rows are there, and rows that are there stay as they are."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.words, self.features = _Ragged(), _Ragged()

    def add(self, pieces: Iterable[str], look: Look) -> None:
        fresh = [piece for piece in pieces if piece not in self.number]  # another thread may have been here
        found = [look(piece) for piece in fresh]
        self.words.extend([words for words, _ in found])
        self.features.extend([features for _, features in found])
        self.number.update(zip(fresh, range(len(self.number), len(self.number) + len(fresh)), strict=True))


class _Ragged:
    """Rows of integers of any length, in one array that grows."""

    def __init__(self) -> None:
        self._values, self._ends = np.zeros(1024, np.int32), np.zeros(1024, np.int64)
        self._rows = 0

    def extend(self, rows: list[list[int]]) -> None:
        lengths = np.array([len(row) for row in rows], np.int64)
        end, stop = int(self._ends[self._rows]), self._rows + len(rows)
        ends = end + np.cumsum(lengths)
        self._values = _room(self._values, end, end + int(lengths.sum()))
        self._ends = _room(self._ends, self._rows + 1, stop + 1)
        self._values[end : end + int(lengths.sum())] = list(chain.from_iterable(rows))
        self._ends[self._rows + 1 : stop + 1] = ends
        self._rows = stop

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values of these rows one after the other, and how many each has."""
        start, length = self._ends[rows], self._ends[rows + 1] - self._ends[rows]
        before = np.cumsum(length) - length
        place = np.arange(int(length.sum())) + np.repeat(start - before, length)
        return self._values[place], length


def _room(array: np.ndarray, used: int, wanted: int) -> np.ndarray:
    """The same array, or a larger copy of what is used of it."""
    if wanted <= len(array):
        return array
    larger = np.zeros(max(wanted, 2 * len(array)), array.dtype)
    larger[:used] = array[:used]
    return larger
