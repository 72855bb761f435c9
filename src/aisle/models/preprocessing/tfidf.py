"""Text to TF-IDF weights of words, word pairs and character n-grams, without torch.

The formulas are those of scikit-learn's `TfidfVectorizer` (sublinear counts, smooth idf, unit length). Unlike
it, a vocabulary can grow (`extended`), and pieces of text that were seen before are looked up (`WordCache`).
"""

import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import sparse

from aisle.models.preprocessing.base import Prepared, hash_of, write_settings
from aisle.models.preprocessing.word_cache import WordCache

_ASCII_WORDS = re.compile(r"\w+|[^\w\s]", re.ASCII)
_VARIATION_SELECTORS = range(0xE0100, 0xE01F0)  # the only marks beyond the first two planes
_MIN_DF_TEXTS = 1000  # with fewer texts `min_df` is 1: a category of one product has no other features
_SUBLINEAR_TF = 1 + np.log(np.arange(1, 100_001))  # by count; larger counts are clipped


class TfidfPreprocessor:
    """Text to TF-IDF weights of words, word pairs and character n-grams.

    Prepared arrays, in the layout of `torch.nn.EmbeddingBag`: `ids` (F,) int64 features of all texts,
    concatenated; `weights` (F,) float32; `offsets` (B,) int64, the start of each text. In each text, words
    with pairs have unit length, and so have n-grams.

    Args:
        max_words: the most words kept, by document frequency.
        word_bigrams: the most pairs of adjacent words kept.
        max_features: the most character n-grams kept.
        min_df: the fewest texts that a feature occurs in; 1 where there are fewer than 1,000 texts, or where
            no word occurs in so many.
        min_n: length of the shortest n-grams, taken inside words padded with a blank on each side.
        max_n: length of the longest n-grams.
        fit_sample: the most texts that `fit` reads.
    """

    def __init__(
        self,
        max_words: int = 50_000,
        word_bigrams: int = 50_000,
        max_features: int = 100_000,
        min_df: int = 2,
        min_n: int = 3,
        max_n: int = 5,
        fit_sample: int = 500_000,
    ) -> None:
        self.max_words, self.word_bigrams, self.max_features = max_words, word_bigrams, max_features
        self.min_df, self.min_n, self.max_n, self.fit_sample = min_df, min_n, max_n, fit_sample
        self._n_texts: int | None = None
        self._set_vocabulary([], np.zeros((0, 2), np.int64), [], np.zeros(0, np.float32))

    def _set_vocabulary(
        self,
        words: list[str],
        pairs: np.ndarray,
        grams: list[str],
        idf: np.ndarray,
        numbers: np.ndarray | None = None,
    ) -> None:
        """Set the features, whose order is words, pairs, n-grams.

        Args:
            words: the words.
            pairs: (P, 2) numbers of words, sorted by `_pair_key`.
            grams: the character n-grams.
            idf: (F,) by feature.
            numbers: (F,) the id of each feature in the prepared arrays; their order by default. A vocabulary
                that grew keeps the ids of its earlier features.
        """
        self.idf = idf
        self._numbers = np.arange(len(idf)) if numbers is None else numbers
        self._words = words
        self._grams = grams
        self._word_ids = {word: i for i, word in enumerate(words)}
        first = len(words)
        self._pairs = pairs
        self._pair_keys = _pair_key(pairs)  # sorted, so that a batch is looked up by binary search
        self._gram_ids = {gram: first + len(pairs) + i for i, gram in enumerate(grams)}
        self._first_pair, self._first_gram = first, first + len(pairs)
        self._pieces = WordCache(self._lookup)
        self._grams_of: dict[str, list[int]] = {}

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.idf)

    def frequencies(self) -> dict[str, float]:
        """The share of texts that each word of the vocabulary occurs in, computed from its idf."""
        shares = np.exp(1 - self.idf[: len(self._words)].astype(np.float64))
        return dict(zip(self._words, shares.tolist(), strict=True))

    def split(self, text: str) -> list[str]:
        """The words of a text, NFKC-normalised and in lower case."""
        if text.isascii():  # equal, and faster
            return _ASCII_WORDS.findall(text.lower())
        return _word_pattern().findall(unicodedata.normalize("NFKC", text).lower())

    def fit(self, values: Iterable[str | None]) -> None:
        """Learn the vocabulary and document frequencies.

        Args:
            values: texts, None where the view is missing.
        """
        texts = [self.split(text) for text in itertools.islice(filter(None, values), self.fit_sample)]
        word_df = Counter(itertools.chain.from_iterable(map(set, texts)))
        enough = len(texts) >= _MIN_DF_TEXTS and max(word_df.values(), default=0) >= self.min_df
        min_df = self.min_df if enough else 1
        words = _most_frequent(word_df, self.max_words, min_df)
        word_id = {word: i for i, word in enumerate(words)}
        pair_df: Counter[tuple[int, int]] = Counter()
        gram_df: Counter[str] = Counter()
        grams_of: dict[str, set[str]] = {}
        for text in texts:
            ids = [word_id.get(word, -1) for word in text]
            pair_df.update({(a, b) for a, b in itertools.pairwise(ids) if a >= 0 <= b})
            distinct = set(text)
            for word in distinct.difference(grams_of):  # `- grams_of.keys()` visits every key
                grams_of[word] = set(self._char_ngrams(word))
            gram_df.update(set().union(*(grams_of[word] for word in distinct)))
        pairs = sorted(_most_frequent(pair_df, self.word_bigrams, min_df))
        grams = _most_frequent(gram_df, self.max_features, min_df)
        df = [word_df[w] for w in words] + [pair_df[p] for p in pairs] + [gram_df[g] for g in grams]
        idf = np.log((1 + len(texts)) / (1 + np.array(df, dtype=np.float64))) + 1
        self._n_texts = len(texts)
        self._set_vocabulary(words, np.array(pairs, np.int64).reshape(-1, 2), grams, idf.astype(np.float32))

    def extended(self, values: Iterable[str | None]) -> "TfidfPreprocessor":
        """A vocabulary with the new features of more texts appended.

        Earlier features keep their ids and weights, so weights learned for them stay valid.

        Args:
            values: texts, None where the view is missing.
        """
        other = TfidfPreprocessor(**self._settings())
        other.fit(values)
        n_texts, n_more = self._n_texts or 0, other._n_texts or 0
        words = [*self._words, *(w for w in other._words if w not in self._word_ids)]
        word_id = {word: i for i, word in enumerate(words)}
        other_ids = np.array([word_id[w] for w in other._words], np.int64)
        pairs = other_ids[other._pairs]
        new_pair = ~np.isin(_pair_key(pairs), self._pair_keys)
        grams = [g for g in other._grams if g not in self._gram_ids]
        new = np.concatenate(
            [other_ids >= len(self._words), new_pair, [g not in self._gram_ids for g in other._grams]]
        ).astype(bool)
        smoothed_df = (1 + n_more) * np.exp(1 - other.idf[new])  # document frequency plus one
        idf = (np.log((1 + n_texts + n_more) / smoothed_df) + 1).astype(np.float32)
        # Of words, pairs and n-grams each the earlier ones, then the new ones; pairs sorted by key.
        pairs = np.concatenate([self._pairs, pairs[new_pair]])
        order = np.argsort(_pair_key(pairs), kind="stable")
        merged = []
        for old, more in ((self.idf, idf), (self._numbers, self.size + np.arange(len(idf)))):
            ends = np.cumsum([len(words) - len(self._words), len(pairs) - len(self._pairs)])
            more_words, more_pairs, more_grams = np.split(more, ends)
            first, second = self._first_pair, self._first_gram
            both = np.concatenate([old[first:second], more_pairs])[order]
            merged.append(np.concatenate([old[:first], more_words, both, old[second:], more_grams]))
        extended = TfidfPreprocessor(**self._settings())
        extended._set_vocabulary(words, pairs[order], [*self._grams, *grams], *merged)
        extended._n_texts = n_texts + n_more
        return extended

    def _char_ngrams(self, word: str) -> list[str]:
        padded = f" {word} "
        lengths = range(self.min_n, min(self.max_n, len(padded)) + 1)
        return [padded[i : i + n] for n in lengths for i in range(len(padded) - n + 1)]

    def __call__(self, values: Sequence[str | None]) -> Prepared:
        """Compute the weights of B texts; a text without a known feature still counts as present."""
        present = np.array([value is not None for value in values], dtype=bool)
        feature, count, offsets = self._count(values)
        weight = _SUBLINEAR_TF[np.minimum(count, len(_SUBLINEAR_TF)) - 1] * self.idf[feature]
        row = np.repeat(np.arange(len(values)), np.diff(offsets))
        block = row * 2 + (feature >= self._first_gram)  # words and pairs; n-grams
        norm = np.sqrt(np.bincount(block, weight**2, minlength=2 * len(values)))
        weights = (weight / norm[block]).astype(np.float32)
        arrays = {"ids": self._numbers[feature], "weights": weights, "offsets": offsets[:-1]}
        return Prepared(arrays, present, {})

    def _count(self, values: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features of B texts, sorted within each; the count of each; the start of each text (B + 1,)."""
        found = self._pieces(values)
        word, row = found.words, found.word_row
        first = np.flatnonzero((word[:-1] >= 0) & (word[1:] >= 0) & (row[:-1] == row[1:]))
        key = _pair_key(np.stack([word[first], word[first + 1]], 1).astype(np.int64))
        pair = np.minimum(np.searchsorted(self._pair_keys, key), max(len(self._pair_keys) - 1, 0))
        hit = self._pair_keys[pair] == key if len(self._pair_keys) else np.zeros(len(key), bool)
        ids = np.concatenate([found.features, (self._first_pair + pair[hit]).astype(np.int32)])
        rows = np.concatenate([found.feature_row, row[first[hit]]])
        # CSR by feature, then CSC: linear in the features, where sorting each text is not.
        once = (np.ones(len(ids), np.int32), (ids, rows))
        counts = sparse.csr_matrix(once, shape=(max(self.size, 1), len(values))).tocsc()
        return counts.indices, counts.data, counts.indptr.astype(np.int64)

    def _lookup(self, piece: str) -> tuple[list[int], list[int]]:
        """The words of a piece of text (-1: not in the vocabulary), and its words and n-grams that are."""
        split = self.split(piece)
        words = [self._word_ids.get(word, -1) for word in split]
        features = [word for word in words if word >= 0]
        for word in split:
            features += self._gram_ids_of(word)
        return words, features

    def _gram_ids_of(self, word: str) -> list[int]:
        ids = self._grams_of.get(word)
        if ids is None:
            get = self._gram_ids.get
            ids = [i for gram in self._char_ngrams(word) if (i := get(gram)) is not None]
            if word in self._word_ids:  # bounds the cache by the vocabulary
                self._grams_of[word] = ids
        return ids

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of some rows."""
        ends = np.append(arrays["offsets"], len(arrays["ids"]))
        start, length = ends[rows], ends[rows + 1] - ends[rows]
        offsets = np.concatenate([[0], np.cumsum(length)])
        at = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], length)
        return {"ids": arrays["ids"][at], "weights": arrays["weights"][at], "offsets": offsets[:-1]}

    def save(self, folder: Path) -> None:
        """Write settings, vocabulary and idf."""
        from safetensors.numpy import save_file

        write_settings(folder, self._settings())
        vocabulary = {"texts": self._n_texts, "words": self._words, "grams": self._grams}
        (folder / "vocabulary.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
        arrays = {"pairs": self._pairs, "idf": self.idf, "numbers": self._numbers}
        save_file(arrays, str(folder / "features.safetensors"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        self = cls(**json.loads((folder / "preprocessor.json").read_text()))
        vocabulary = json.loads((folder / "vocabulary.json").read_text())
        arrays = load_file(str(folder / "features.safetensors"))
        self._set_vocabulary(
            vocabulary["words"], arrays["pairs"], vocabulary["grams"], arrays["idf"], arrays["numbers"]
        )
        self._n_texts = vocabulary["texts"]
        return self

    def _settings(self) -> dict[str, int]:
        names = ("max_words", "word_bigrams", "max_features", "min_df", "min_n", "max_n", "fit_sample")
        return {name: getattr(self, name) for name in names}

    @property
    def fingerprint(self) -> str:
        """A hash of the vocabulary and its weights."""
        arrays = (self.idf.tobytes().hex(), self._numbers.tobytes().hex())
        return hash_of("lexical", self._settings(), self._words, self._grams, *arrays)


def _most_frequent(counts: Counter[Any], size: int, min_df: int) -> list[Any]:
    """The most frequent features; ties by the feature itself, so that the order of texts has no effect."""
    frequent = [(-n, feature) for feature, n in counts.items() if n >= min_df]
    return [feature for _, feature in sorted(frequent)[:size]]


@cache
def _word_pattern() -> re.Pattern[str]:
    """Words of letters, digits and combining marks; any other visible character is a word (emoji, `€`).

    Python's `\\w` leaves marks out, and with them the vowel signs of Hindi or Thai.
    """
    codes = (*range(0x20000), *_VARIATION_SELECTORS)
    marks = "".join(chr(c) for c in codes if unicodedata.category(chr(c)).startswith("M"))
    return re.compile(rf"[\w{marks}]+|[^\w\s]")


def _pair_key(pairs: np.ndarray) -> np.ndarray:
    """(P,) one integer per pair, in the order of the pairs."""
    return pairs[:, 0] << 32 | pairs[:, 1]
