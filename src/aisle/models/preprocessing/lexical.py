"""Text to TF-IDF weighted words, word pairs and character n-grams, vectorised. No torch here.

Plain bags of learned embeddings lose to a linear SVM on small catalogues because every word counts the
same; weighting words as TF-IDF does (sublinear counts, smooth idf, unit length: scikit-learn's
`TfidfVectorizer` formulas) and adding pairs and n-grams mends that.
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
_LAST_PLANE = range(0xE0100, 0xE01F0)  # variation selectors: the only marks beyond the first two planes
_FEW = 1000  # texts below which every feature is kept: a category of one product has no others
_DAMPED = 1 + np.log(np.arange(1, 100_001))  # sublinear counts; nobody means it who says a word more often


class TfidfPreprocessor:
    """A vocabulary of features learned on the catalogue, with document frequencies.

    max_words, word_bigrams, max_features: how many words, word pairs and character n-grams are kept
    at most (the most frequent). min_df: the fewest texts a feature must occur in; 1 where there are fewer
    than 1,000 texts, or where no word occurs in so many. min_n, max_n: lengths of character n-grams, taken
    inside space-padded words.
    fit_sample: texts read by `fit` at most.

    Arrays: `ids` (F,) int64 feature numbers of all texts in a row, `weights` (F,) float32, `offsets`
    (B,) int64 where each text begins. Words with pairs, and n-grams, each have unit length.
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
        self.max_words, self.word_bigrams, self.max_features, self.min_df = (
            max_words,
            word_bigrams,
            max_features,
            min_df,
        )
        self.min_n, self.max_n, self.fit_sample = min_n, max_n, fit_sample
        self._fitted: int | None = None
        self._learned([], np.zeros((0, 2), np.int64), [], np.zeros(0, np.float32))

    def _learned(
        self,
        words: list[str],
        pairs: np.ndarray,
        grams: list[str],
        idf: np.ndarray,
        numbers: np.ndarray | None = None,
    ) -> None:
        """pairs (P, 2) in the order of their keys; idf (F,) of words, then pairs, then grams; numbers (F,):
        how each is called outside, by default in that order."""
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
        self._pieces = WordCache(self._look)
        self._grams_of: dict[str, list[int]] = {}

    @property
    def size(self) -> int:
        """How many features there are."""
        return len(self.idf)

    def frequencies(self) -> dict[str, float]:
        """The share of texts that each known word occurs in, as its idf tells."""
        shares = np.exp(1 - self.idf[: len(self._words)].astype(np.float64))
        return dict(zip(self._words, shares.tolist(), strict=True))

    def split(self, text: str) -> list[str]:
        """A text's words, normalised."""
        if text.isascii():  # the same by a shorter way
            return _ASCII_WORDS.findall(text.lower())
        return _words().findall(unicodedata.normalize("NFKC", text).lower())

    def fit(self, values: Iterable[str | None]) -> None:
        """Learn which features there are and how many texts each occurs in."""
        texts: list[list[str]] = []
        in_texts: Counter[str] = Counter()
        for value in values:
            if value:
                texts.append(self.split(value))
                in_texts.update(set(texts[-1]))
                if len(texts) == self.fit_sample:
                    break
        often = len(texts) >= _FEW and max(in_texts.values(), default=0) >= self.min_df
        least = self.min_df if often else 1
        words = self._keep(in_texts, self.max_words, least)
        known = {word: i for i, word in enumerate(words)}
        pair_counts: Counter[tuple[int, int]] = Counter()
        gram_counts: Counter[str] = Counter()
        spelled: dict[str, set[str]] = {}
        for text in texts:
            ids = [known.get(word, -1) for word in text]
            pair_counts.update({(a, b) for a, b in itertools.pairwise(ids) if a >= 0 <= b})
            distinct = set(text)
            for word in distinct - spelled.keys():
                spelled[word] = set(self._spell(word))
            gram_counts.update(set().union(*(spelled[word] for word in distinct)))
        pairs = self._keep(pair_counts, self.word_bigrams, least)
        pairs.sort(key=_pair_sort)
        grams = self._keep(gram_counts, self.max_features, least)
        df = [in_texts[w] for w in words] + [pair_counts[p] for p in pairs] + [gram_counts[g] for g in grams]
        idf = np.log((1 + len(texts)) / (1 + np.array(df, dtype=np.float64))) + 1
        self._fitted = len(texts)
        self._learned(words, np.array(pairs, np.int64).reshape(-1, 2), grams, idf.astype(np.float32))

    def extended(self, values: Iterable[str | None]) -> "TfidfPreprocessor":
        """The same, and what is new in these texts; features that are known keep their numbers and weights,
        so that what was learned of them stays, and new ones follow. A text without new ones reads as before.
        """
        fresh = TfidfPreprocessor(**self._settings())
        fresh.fit(values)
        before, among = self._texts(), fresh._texts()
        words = [*self._words, *(w for w in fresh._words if w not in self._word_ids)]
        place = {word: i for i, word in enumerate(words)}
        theirs = np.array([place[w] for w in fresh._words], np.int64)
        pairs = theirs[fresh._pairs]
        new_pair = ~np.isin(_pair_key(pairs), self._pair_keys)
        grams = [g for g in fresh._grams if g not in self._gram_ids]
        new = np.concatenate(
            [theirs >= len(self._words), new_pair, [g not in self._gram_ids for g in fresh._grams]]
        ).astype(bool)
        found = (1 + among) * np.exp(1 - fresh.idf[new])  # texts they occur in, and one
        idf = (np.log((1 + before + among) / found) + 1).astype(np.float32)
        # Each kind's old features, then its new ones; pairs in the order of their keys.
        pairs = np.concatenate([self._pairs, pairs[new_pair]])
        order = np.argsort(_pair_key(pairs), kind="stable")
        joined = []
        for old, more in ((self.idf, idf), (self._numbers, self.size + np.arange(len(idf)))):
            ends = np.cumsum([len(words) - len(self._words), len(pairs) - len(self._pairs)])
            more_words, more_pairs, more_grams = np.split(more, ends)
            first, second = self._first_pair, self._first_gram
            both = np.concatenate([old[first:second], more_pairs])[order]
            joined.append(np.concatenate([old[:first], more_words, both, old[second:], more_grams]))
        wider = TfidfPreprocessor(**self._settings())
        wider._learned(words, pairs[order], [*self._grams, *grams], *joined)
        wider._fitted = int(before + among)
        return wider

    def _texts(self) -> float:
        """How many texts it was learned from."""
        return float(self._fitted or 0)

    def _keep(self, counts: Counter[Any], most: int, least: int) -> list[Any]:
        """The most frequent features, in an order that does not depend on the texts' order."""
        often = [(-n, key) for key, n in counts.items() if n >= least]
        return [key for _, key in sorted(often)[:most]]

    def _spell(self, word: str) -> list[str]:
        padded = f" {word} "
        lengths = range(self.min_n, min(self.max_n, len(padded)) + 1)
        return [padded[i : i + n] for n in lengths for i in range(len(padded) - n + 1)]

    def __call__(self, values: Sequence[str | None]) -> Prepared:
        """B texts in; a text of which nothing is known still counts as present."""
        present = np.array([value is not None for value in values], dtype=bool)
        feature, count, offsets = self._count(values)
        weight = _DAMPED[np.minimum(count, len(_DAMPED)) - 1] * self.idf[feature]
        row = np.repeat(np.arange(len(values)), np.diff(offsets))
        block = row * 2 + (feature >= self._first_gram)  # words and pairs apart from n-grams
        norm = np.sqrt(np.bincount(block, weight**2, minlength=2 * len(values)))
        weights = (weight / norm[block]).astype(np.float32)
        arrays = {"ids": self._numbers[feature], "weights": weights, "offsets": offsets[:-1]}
        return Prepared(arrays, present, {})

    def _count(self, values: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features of B texts, in order within each, how often each occurs, where texts begin (B + 1)."""
        found = self._pieces(values)
        word, row = found.words, found.word_row
        first = np.flatnonzero((word[:-1] >= 0) & (word[1:] >= 0) & (row[:-1] == row[1:]))
        key = _pair_key(np.stack([word[first], word[first + 1]], 1).astype(np.int64))
        place = np.minimum(np.searchsorted(self._pair_keys, key), max(len(self._pair_keys) - 1, 0))
        hit = self._pair_keys[place] == key if len(self._pair_keys) else np.zeros(len(key), bool)
        ids = np.concatenate([found.features, (self._first_pair + place[hit]).astype(np.int32)])
        rows = np.concatenate([found.feature_row, row[first[hit]]])
        # Counted by feature first, then turned round: both are linear, where sorting each text is not.
        once = (np.ones(len(ids), np.int32), (ids, rows))
        counts = sparse.csr_matrix(once, shape=(max(self.size, 1), len(values))).tocsc()
        return counts.indices, counts.data, counts.indptr.astype(np.int64)

    def _look(self, piece: str) -> tuple[list[int], list[int]]:
        """The words of a piece of text (-1: not known), and the features in it but for pairs."""
        split = self.split(piece)
        words = [self._word_ids.get(word, -1) for word in split]
        features = [word for word in words if word >= 0]
        for word in split:
            features += self._known_grams(word)
        return words, features

    def _known_grams(self, word: str) -> list[int]:
        found = self._grams_of.get(word)
        if found is None:
            get = self._gram_ids.get
            found = [n for gram in self._spell(word) if (n := get(gram)) is not None]
            if word in self._word_ids:  # so that it is not more than there are words
                self._grams_of[word] = found
        return found

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """Some products' arrays."""
        ends = np.append(arrays["offsets"], len(arrays["ids"]))
        start, length = ends[rows], ends[rows + 1] - ends[rows]
        offsets = np.concatenate([[0], np.cumsum(length)])
        place = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], length)
        return {"ids": arrays["ids"][place], "weights": arrays["weights"][place], "offsets": offsets[:-1]}

    def save(self, folder: Path) -> None:
        """Write settings, vocabulary and idf."""
        from safetensors.numpy import save_file

        write_settings(folder, self._settings())
        vocabulary = {"texts": self._fitted, "words": self._words, "grams": self._grams}
        (folder / "vocabulary.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
        arrays = {"pairs": self._pairs, "idf": self.idf, "numbers": self._numbers}
        save_file(arrays, str(folder / "features.safetensors"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what `save` wrote."""
        from safetensors.numpy import load_file

        self = cls(**json.loads((folder / "preprocessor.json").read_text()))
        vocabulary = json.loads((folder / "vocabulary.json").read_text())
        arrays = load_file(str(folder / "features.safetensors"))
        numbers = arrays.get("numbers")  # bundles from before vocabularies could grow have none
        self._learned(vocabulary["words"], arrays["pairs"], vocabulary["grams"], arrays["idf"], numbers)
        self._fitted = vocabulary["texts"]
        return self

    def _settings(self) -> dict[str, int]:
        names = ("max_words", "word_bigrams", "max_features", "min_df", "min_n", "max_n", "fit_sample")
        return {name: getattr(self, name) for name in names}

    @property
    def fingerprint(self) -> str:
        """A hash of the vocabulary and its weights."""
        arrays = (self.idf.tobytes().hex(), self._numbers.tobytes().hex())
        return hash_of("lexical", self._settings(), self._words, self._grams, *arrays)


@cache
def _words() -> re.Pattern[str]:
    """Words of letters, digits and combining marks; any other visible sign is a word of its own (emoji, `€`).

    Python's `\\w` leaves marks out, and with them the vowel signs of Hindi or Thai.
    """
    codes = (*range(0x20000), *_LAST_PLANE)
    marks = "".join(chr(c) for c in codes if unicodedata.category(chr(c)).startswith("M"))
    return re.compile(rf"[\w{marks}]+|[^\w\s]")


def _pair_key(pairs: np.ndarray) -> np.ndarray:
    return pairs[:, 0] << 32 | pairs[:, 1]


def _pair_sort(pair: tuple[int, int]) -> int:
    return pair[0] << 32 | pair[1]
