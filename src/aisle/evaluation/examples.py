"""A few products to look at: the most confident hits, the most confident misses, and near ties."""

from collections.abc import Iterable, Sequence

import numpy as np

from aisle.data import Product
from aisle.evaluation.collect import TopPredictions
from aisle.evaluation.explained import explained
from aisle.evaluation.shown_products import EvaluatedProduct, Examples, ExplanationView, Guess
from aisle.evaluation.thumbnails import thumbnail
from aisle.inference.classifier import Classifier
from aisle.inference.explain import explain
from aisle.metrics import MatchedPredictions, Truth

EACH = 8
WHY = 2  # of them explained: that takes longer than all the rest of a report
TITLE, TEXT = 160, 280  # characters on a card


def choose(
    answers: TopPredictions,
    judged: MatchedPredictions,
    truth: Truth,
    products: Sequence[Product],
    rows: np.ndarray,
    classifier: Classifier | None = None,
) -> Examples:
    """`EACH` of every kind, no two of a kind sharing label and answer, so that a page shows variety.

    classifier: explains the first `WHY` of each kind.
    """
    sure = answers.logp[:, 0]
    with np.errstate(invalid="ignore"):
        gap = np.exp(sure) - np.exp(answers.logp[:, 1]) if answers.logp.shape[1] > 1 else np.exp(sure)
    pair = np.stack([judged.node, judged.predicted], 1)
    by_sureness = np.argsort(-sure, kind="stable")
    kinds = {
        "best": (i for i in by_sureness if judged.right[i]),
        "worst": (i for i in by_sureness if not judged.right[i]),
        "confused": iter(np.argsort(gap, kind="stable")),
    }

    def cards(order: Iterable[int]) -> tuple[EvaluatedProduct, ...]:
        chosen = _varied(order, pair)
        shown = [products[int(rows[i])] for i in chosen]
        why = [] if classifier is None else explain(classifier, shown[:WHY])
        explanations = [explained(one, product) for one, product in zip(why, shown, strict=False)]
        explanations += [None] * (len(chosen) - len(explanations))
        pairs = zip(chosen, shown, explanations, strict=True)
        return tuple(_card(i, product, answers, judged, truth, x) for i, product, x in pairs)

    return Examples(**{kind: cards(order) for kind, order in kinds.items()})


def _varied(order: Iterable[int], pair: np.ndarray) -> list[int]:
    seen: set[tuple[int, int]] = set()
    chosen: list[int] = []
    for i in order:
        key = (int(pair[i, 0]), int(pair[i, 1]))
        if key not in seen:
            seen.add(key)
            chosen.append(int(i))
        if len(chosen) == EACH:
            break
    return chosen


def _card(
    i: int,
    product: Product,
    answers: TopPredictions,
    judged: MatchedPredictions,
    truth: Truth,
    why: ExplanationView | None,
) -> EvaluatedProduct:
    tree = judged.taxonomy
    label = int(judged.node[i])
    others = [n for n in dict.fromkeys(truth.node[i].tolist()) if n >= 0 and n != label]
    lineage = answers.lineage[i]
    guesses = (
        Guess(path=tree.nodes[n].path, confidence=float(np.exp(p)))
        for n, p in zip(answers.top[i], answers.logp[i], strict=True)
        if n >= 0
    )
    return EvaluatedProduct(
        id=product.id,
        title=_short(product.fields.get("title", ""), TITLE),
        text=_short(product.fields.get("description", ""), TEXT),
        image=thumbnail(product),
        label=tree.nodes[label].path,
        also=tuple(tree.nodes[n].path for n in others),
        guesses=tuple(guesses),
        confidence=tuple(float(c) for c in np.exp(lineage[~np.isnan(lineage)])),
        right=bool(judged.right[i]),
        explained=why,
    )


def _short(text: str, most: int) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be written to a file
    return text if len(text) <= most else text[:most].rstrip() + "…"
