"""Suggests categories while a title is typed.

A last word that the model does not know is mostly unfinished. Instead of the prefix, its completions are
scored: P(category | prefix) = sum over words w with that prefix of P(w) P(category | title with w), where
P(w) is proportional to the frequency of w in the model's vocabulary. A title whose last word is known, or
followed by a space, is scored as it is, with the same confidences as `classify`. The reason of a suggestion
is found by leaving out each content word in turn: stop words are no reason.
"""

import bisect
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aisle.data import Product
from aisle.data.stop_words import is_content_word
from aisle.models.preprocessing import TfidfPreprocessor
from aisle.taxonomy import Scores, Taxonomy

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

_COMPLETIONS = 6
_EXPLAINED = 10  # the last words of a title that are left out one by one
_PREFIX_COUNT = 2.0  # the frequency of a prefix that is no known word
_PUNCTUATION = string.punctuation + "“”„‚‘’«»…–—"  # around a word that is quoted
_KNOWN_SHARE = 0.05  # of all words with a prefix, from which a known word counts as finished


class SuggestQuery(NamedTuple):
    """The products to score for a title.

    Attributes:
        products: One for each completion, then one for each word that is left out.
        weights: Probabilities of the completions.
        words: The words that are left out.
        completed: The most probable completion; None if the title is scored as it is.
    """

    products: list[Product]
    weights: np.ndarray
    words: list[str]
    completed: str | None


class SuggestedCategory(NamedTuple):
    """A suggested node, its confidence, and why."""

    node: int
    confidence: float
    reason: str


class Suggester:
    """Completes words from a vocabulary with frequencies."""

    def __init__(self, vocabulary: Mapping[str, float]) -> None:
        self.words = sorted(vocabulary)
        self.counts = np.array([vocabulary[word] for word in self.words], dtype=np.float64)

    @classmethod
    def of(cls, predictor: "Predictor") -> "Suggester":
        """With the vocabulary of a model's lexical views, or else of its category names."""
        vocabulary: dict[str, float] = {}
        lexical = [part for part in _preprocessors(predictor) if isinstance(part, TfidfPreprocessor)]
        for word, share in (pair for part in lexical for pair in part.frequencies().items()):
            vocabulary[word] = max(vocabulary.get(word, 0.0), share * 1000)
        if not vocabulary:
            for node in predictor.taxonomy.nodes:
                for word in node.name.lower().split():
                    vocabulary[word] = vocabulary.get(word, 0.0) + 1.0
        return cls(vocabulary)

    def completions(self, prefix: str) -> tuple[list[str], np.ndarray]:
        """The most frequent words with a prefix, and their probabilities.

        The prefix itself is among them; it is the only one if it is a known word, or the most frequent.
        """
        folded = prefix.lower()
        if not folded.isalpha():
            return [prefix], np.ones(1)
        start = bisect.bisect_left(self.words, folded)
        stop = bisect.bisect_left(self.words, folded + "\U0010ffff")
        counts = self.counts[start:stop]
        is_word = start < stop and self.words[start] == folded
        prefix_count = counts[0] if is_word else _PREFIX_COUNT
        if (
            start == stop
            or prefix_count >= counts.max()
            or (is_word and prefix_count >= _KNOWN_SHARE * counts.sum())
        ):
            return [prefix], np.ones(1)
        best = start + np.argsort(-counts, kind="stable")[:_COMPLETIONS]
        words, chosen = [self.words[i] for i in best], self.counts[best]
        if folded not in words:
            words, chosen = [*words, prefix], np.append(chosen, _PREFIX_COUNT)
        return words, chosen / chosen.sum()

    def query(self, title: str, fields: Mapping[str, str], finished: bool = False) -> SuggestQuery:
        """The products to score for a title.

        Args:
            title: The title as far as it is typed.
            fields: Other texts of the product.
            finished: The last word is not completed.
        """
        words = title.split()
        prefix = words.pop() if words and not (finished or title[-1].isspace()) else None
        variants, weights = ([""], np.ones(1)) if prefix is None else self.completions(prefix)
        completed = variants[int(weights.argmax())] if len(variants) > 1 else None
        titles = [" ".join([*words, variant]) for variant in variants] if completed else [title]
        tokens = [*words, completed] if completed else title.split()
        content = list(filter(is_content_word, dict.fromkeys(tokens)))
        left_out = content[-_EXPLAINED:] if len(set(tokens)) > 1 else []
        titles += [" ".join(w for w in tokens if w != word) for word in left_out]
        products = [Product("", {**fields, **({"title": text} if text else {})}) for text in titles]
        return SuggestQuery(products, weights, left_out, completed)

    def whole(self, query: SuggestQuery) -> Product:
        """The product whose title is complete: as typed, or with its most probable completion."""
        return query.products[int(query.weights.argmax())]

    def categories(
        self, query: SuggestQuery, logp: Sequence[np.ndarray], taxonomy: Taxonomy, count: int
    ) -> list[SuggestedCategory]:
        """The terminals of highest confidence.

        Args:
            query: From `query`.
            logp: Log-confidences (N,) of each of its products.
            taxonomy: The model's tree.
            count: How many to return.
        """
        rows = np.stack(logp).astype(np.float64)
        known = len(query.weights)
        mixed = np.log(np.maximum(query.weights @ np.exp(rows[:known]), 1e-30))
        top = Scores(taxonomy, mixed[None]).topk(count)
        suggestions = []
        for node, log_confidence in zip(top.node[0].tolist(), top.logp[0].tolist(), strict=True):
            terminal = taxonomy.terminal_of[node]
            drops = mixed[terminal] - rows[known:, terminal]
            suggestions.append(SuggestedCategory(node, float(np.exp(log_confidence)), _reason(query, drops)))
        return suggestions


def _preprocessors(predictor: Any) -> Iterator[Any]:
    """Of a model, or of all members of an ensemble or a cascade."""
    for part in (*getattr(predictor, "members", ()), *getattr(predictor, "models", ())):
        yield from _preprocessors(part)
    yield from getattr(predictor, "preprocessors", {}).values()


def _reason(query: SuggestQuery, drops: np.ndarray) -> str:
    """`drops`: by how much leaving out each word lowers the log-probability."""
    if not query.words:
        return f"if you mean “{query.completed}”" if query.completed else "from all that is typed so far"
    order = [int(i) for i in np.argsort(-drops)[:2] if drops[i] > 0.1]
    if not order:
        return "no single word decides it"
    words = [query.words[i] for i in order]
    quoted = " and ".join(f"“{word.strip(_PUNCTUATION)}”" for word in words)
    return f"because of {quoted}{' (if that is the word)' if query.completed in words else ''}"
