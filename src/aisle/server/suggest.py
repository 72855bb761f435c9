"""Suggestions while a title is being typed.

A last word that the model does not know is unfinished more often than not. Instead of scoring the stump, the
words that it may become are scored: P(place | stump) = sum over words w that begin so of P(w) P(place | title
with w), P(w) from how often the model's vocabulary saw each. A title whose last word is known, or that a
space follows, is read as it stands: its confidences are those of the same product classified. Why a place is
suggested is found by leaving each word out.
"""

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aisle.data import Product
from aisle.models.preprocessing import TfidfPreprocessor
from aisle.taxonomy import Scores, Taxonomy

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

COMPLETIONS = 6  # words that an unfinished one may become
EXPLAINED = 10  # the last words of a title that are left out one by one
_STUMP = 2.0  # how often a stump counts as seen: what it is, if it is no known word
_KNOWN = 0.05  # of all words that begin so, the share from which a known word is taken to be finished


class Query(NamedTuple):
    """The products to score for one title: `weights` (of the first len(weights) of them, summing to 1),
    then one for each of `words` left out."""

    products: list[Product]
    weights: np.ndarray
    words: list[str]
    completed: str | None


class Place(NamedTuple):
    """A suggested node, its confidence, and why."""

    node: int
    confidence: float
    reason: str


class Suggester:
    """Completes words from a vocabulary: word -> in how many texts it was seen."""

    def __init__(self, vocabulary: Mapping[str, float]) -> None:
        self.words = sorted(vocabulary)
        self.counts = np.array([vocabulary[word] for word in self.words], dtype=np.float64)

    @classmethod
    def of(cls, predictor: "Predictor") -> "Suggester":
        """From the words a model's lexical views know, or else from its categories' names."""
        vocabulary: dict[str, float] = {}
        lexical = [one for one in _preprocessors(predictor) if isinstance(one, TfidfPreprocessor)]
        for word, share in (pair for one in lexical for pair in one.frequencies().items()):
            vocabulary[word] = max(vocabulary.get(word, 0.0), share * 1000)
        if not vocabulary:
            for node in predictor.taxonomy.nodes:
                for word in node.name.lower().split():
                    vocabulary[word] = vocabulary.get(word, 0.0) + 1.0
        return cls(vocabulary)

    def completions(self, stump: str) -> tuple[list[str], np.ndarray]:
        """The words most often seen that begin so, the stump itself among them, and their chances; the stump
        alone where it is a word already, or likelier than all others."""
        folded = stump.lower()
        if not folded.isalpha():
            return [stump], np.ones(1)
        start = bisect.bisect_left(self.words, folded)
        stop = bisect.bisect_left(self.words, folded + "\U0010ffff")
        every = self.counts[start:stop]
        itself = every[0] if start < stop and self.words[start] == folded else _STUMP
        known = start < stop and self.words[start] == folded and itself >= _KNOWN * every.sum()
        if known or start == stop or itself >= every.max():
            return [stump], np.ones(1)
        best = start + np.argsort(-self.counts[start:stop], kind="stable")[:COMPLETIONS]
        words = [self.words[i] for i in best]
        counts = self.counts[best]
        if folded not in words:
            words, counts = [*words, stump], np.append(counts, _STUMP)
        return words, counts / counts.sum()

    def query(self, title: str, fields: Mapping[str, str], finished: bool = False) -> Query:
        """What to score for this title. finished: its last word is no beginning of another."""
        words = title.split()
        stump = words.pop() if words and not (finished or title[-1].isspace()) else None
        variants, weights = ([""], np.ones(1)) if stump is None else self.completions(stump)
        completed = variants[int(weights.argmax())] if len(variants) > 1 else None
        titles = [" ".join([*words, variant]) for variant in variants] if completed else [title]
        whole = [*words, completed] if completed else title.split()
        left = _distinct(whole)[-EXPLAINED:]
        without = [" ".join(w for w in whole if w != word) for word in left] if len(left) > 1 else []
        products = [_product(text, fields) for text in [*titles, *without]]
        return Query(products, weights, left if without else [], completed)

    def places(self, query: Query, logp: Sequence[np.ndarray], taxonomy: Taxonomy, count: int) -> list[Place]:
        """The terminals of highest confidence; logp: log-confidences (N,) of each of the query's products."""
        rows = np.stack(logp).astype(np.float64)
        known = len(query.weights)
        mixed = np.log(np.maximum(query.weights @ np.exp(rows[:known]), 1e-30))
        top = Scores(taxonomy, mixed[None]).topk(count)
        found = []
        for node, chance in zip(top.node[0].tolist(), top.logp[0].tolist(), strict=True):
            terminal = taxonomy.terminal_of[node]
            lost = mixed[terminal] - rows[known:, terminal]
            found.append(Place(node, float(np.exp(chance)), _reason(query, lost)))
        return found


def _preprocessors(predictor: Any) -> Iterator[Any]:
    """Of a model, of its ONNX twin, or of all that an ensemble or a cascade is made of."""
    for part in (*getattr(predictor, "members", ()), *getattr(predictor, "models", ())):
        yield from _preprocessors(part)
    yield from getattr(predictor, "preprocessors", {}).values()
    yield from (sight.preparer for sight in getattr(predictor, "sights", {}).values())


def _distinct(words: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _product(title: str, fields: Mapping[str, str]) -> Product:
    return Product("", {**fields, **({"title": title} if title else {})})


def _reason(query: Query, lost: np.ndarray) -> str:
    """lost: by how much each word left out lowers the log-probability."""
    if not query.words:
        return f"if you mean “{query.completed}”" if query.completed else "from all that is typed so far"
    order = [int(i) for i in np.argsort(-lost)[:2] if lost[i] > 0.1]
    if not order:
        return "no single word decides it"
    words = " and ".join(f"“{query.words[i]}”" for i in order)
    meant = query.completed if query.completed in [query.words[i] for i in order] else None
    return f"because of {words}{' (if that is the word)' if meant else ''}"
