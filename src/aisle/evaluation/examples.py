"""Chooses example products: the most confident right and wrong predictions, and near ties."""

from collections.abc import Iterable, Sequence

import numpy as np

from aisle.data import Product
from aisle.evaluation.collect import TopPredictions
from aisle.evaluation.explained import explained
from aisle.evaluation.shown_products import EvaluatedProduct, Examples, ExplanationView, Guess
from aisle.evaluation.thumbnails import thumbnail
from aisle.guarantee import Prediction
from aisle.inference.classifier import Classifier
from aisle.inference.explain import explain
from aisle.metrics import MatchedPredictions, Truth

PER_KIND = 8
EXPLAINED = 2  # of these, examples with an explanation, which is slow
TITLE, TEXT = 160, 280  # characters on a card


def choose_examples(
    answers: TopPredictions,
    matched: MatchedPredictions,
    truth: Truth,
    products: Sequence[Product],
    rows: np.ndarray,
    classifier: Classifier | None = None,
    predictions: Sequence[Prediction] | None = None,
) -> Examples:
    """Choose `PER_KIND` examples of each kind, no two of a kind with equal label and prediction.

    Args:
        answers: The predictions for B products.
        matched: The same, matched with the labels.
        truth: The acceptable categories.
        products: The catalog.
        rows: (B,) positions of the products.
        classifier: Explains the first `EXPLAINED` of each kind. Default: no explanations.
        predictions: (B,) of these products, for the reasons of their decisions. Default: no reasons.
    """
    logp = answers.logp[:, 0]
    with np.errstate(invalid="ignore"):
        gap = np.exp(logp) - np.exp(answers.logp[:, 1]) if answers.logp.shape[1] > 1 else np.exp(logp)
    pair = np.stack([matched.node, matched.predicted], 1)
    by_confidence = np.argsort(-logp, kind="stable")
    kinds = {
        "best": (i for i in by_confidence if matched.right[i]),
        "worst": (i for i in by_confidence if not matched.right[i]),
        "confused": iter(np.argsort(gap, kind="stable")),
    }

    def evaluated(order: Iterable[int]) -> tuple[EvaluatedProduct, ...]:
        chosen = _distinct(order, pair)
        chosen_products = [products[int(rows[i])] for i in chosen]
        explanation = [] if classifier is None else explain(classifier, chosen_products[:EXPLAINED])
        explanations = [
            explained(explanation_, product)
            for explanation_, product in zip(explanation, chosen_products, strict=False)
        ]
        explanations += [None] * (len(chosen) - len(explanations))
        pairs = zip(chosen, chosen_products, explanations, strict=True)
        cards = (_evaluated_product(i, product, answers, matched, truth, x) for i, product, x in pairs)
        if predictions is None:
            return tuple(cards)
        reasons = [predictions[i].reason for i in chosen]
        return tuple(
            card.model_copy(update={"reason": reason}) for card, reason in zip(cards, reasons, strict=True)
        )

    return Examples(**{kind: evaluated(order) for kind, order in kinds.items()})


def _distinct(order: Iterable[int], pair: np.ndarray) -> list[int]:
    used: set[tuple[int, int]] = set()
    chosen: list[int] = []
    for i in order:
        key = (int(pair[i, 0]), int(pair[i, 1]))
        if key not in used:
            used.add(key)
            chosen.append(int(i))
        if len(chosen) == PER_KIND:
            break
    return chosen


def _evaluated_product(
    i: int,
    product: Product,
    answers: TopPredictions,
    matched: MatchedPredictions,
    truth: Truth,
    explanation: ExplanationView | None,
) -> EvaluatedProduct:
    tree = matched.taxonomy
    label = int(matched.node[i])
    others = [n for n in dict.fromkeys(truth.node[i].tolist()) if n >= 0 and n != label]
    lineage = answers.lineage[i]
    guesses = (
        Guess(path=tree.nodes[n].path, confidence=float(np.exp(p)))
        for n, p in zip(answers.top[i], answers.logp[i], strict=True)
        if n >= 0
    )
    return EvaluatedProduct(
        id=product.id,
        title=_truncate(product.fields.get("title", ""), TITLE),
        text=_truncate(product.fields.get("description", ""), TEXT),
        image=thumbnail(product),
        label=tree.nodes[label].path,
        also=tuple(tree.nodes[n].path for n in others),
        guesses=tuple(guesses),
        confidence=tuple(float(c) for c in np.exp(lineage[~np.isnan(lineage)])),
        right=bool(matched.right[i]),
        explained=explanation,
    )


def _truncate(text: str, max_chars: int) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be written to a file
    return text if len(text) <= max_chars else text[:max_chars].rstrip() + "…"
