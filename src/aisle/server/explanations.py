"""Explanations of predictions, a few at one time: each scores a product about a hundred times."""

from dataclasses import replace

from aisle.data import Product
from aisle.data.stop_words import is_content_word
from aisle.inference.explain import Explanation, explain
from aisle.server.errors import BusyError
from aisle.server.model_registry import ServedModel
from aisle.server.state import Server


def explain_product(server: Server, served: ServedModel, product: Product, node: int | None) -> Explanation:
    """Explain why a product is in a category, by its content words.

    Args:
        server: The server.
        served: The model.
        product: The product.
        node: The category; None: that of highest confidence.

    Raises:
        BusyError: Too many explanations are being computed.
    """
    if not server.explanation_slots.acquire(blocking=False):
        raise BusyError(1)
    try:
        (explanation,) = explain(served.predictor, [product], node)
    finally:
        server.explanation_slots.release()
    words = tuple(word for word in explanation.words if is_content_word(word.word))
    return replace(explanation, words=words)
