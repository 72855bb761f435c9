"""Warnings about suggestions: no category is likely, or the views disagree."""

from dataclasses import replace
from typing import NamedTuple

from aisle.data import Product
from aisle.guarantee import Prediction
from aisle.guarantee.predictions import NO_VIEW, OOD_MESSAGE
from aisle.taxonomy import CategoryPath, format_path

MIN_CONFIDENCE = 0.2  # below it the first suggestion is wrong four times out of five
_SAYS = 0.5  # the confidence from which a view says something: right more often than wrong


class ViewPath(NamedTuple):
    """How deep one view alone knows the category, and its confidence there."""

    path: CategoryPath
    confidence: float


class ViewConflict(NamedTuple):
    """The predictions from texts alone and from images alone, if they conflict."""

    text: ViewPath
    image: ViewPath

    def to_dict(self) -> dict[str, dict[str, object]]:
        """The JSON of the API."""
        return {
            name: {"path": format_path(view.path), "confidence": round(view.confidence, 6)}
            for name, view in self._asdict().items()
        }


def unsure_reason(prediction: Prediction) -> str | None:
    """Why no category is likely, in words; None where the best one may be accepted as it is."""
    if prediction.rule and prediction.decision != "review":
        return None
    if prediction.reason == NO_VIEW:
        return "nothing in it is known to the model"
    if OOD_MESSAGE in (prediction.reason, *prediction.problems):
        return "this is unlike the products that the model learned from"
    confidence = prediction.confidence[-1]
    if confidence >= MIN_CONFIDENCE:
        return None
    known = _known_path(prediction)
    if known.path:
        return f"only {format_path(known.path)} is likely ({known.confidence:.0%})"
    return f"the best guess has a confidence of {confidence:.0%}"


def split_by_view(product: Product) -> list[Product]:
    """The texts alone and the images alone; none for a product that has not both."""
    if not (product.images and product.fields):
        return []
    return [replace(product, images=()), replace(product, fields={})]


def find_conflict(text: Prediction, image: Prediction) -> ViewConflict | None:
    """The conflict between the predictions from the texts alone and from the images alone; None without one.

    Each says its best path as deep as it is more likely right than wrong. They are in conflict where neither
    path continues the other.
    """
    says = ViewConflict(_known_path(text), _known_path(image))
    shared = min(len(says.text.path), len(says.image.path))
    if not shared or says.text.path[:shared] == says.image.path[:shared]:
        return None
    return says


def _known_path(prediction: Prediction) -> ViewPath:
    """The product is out of distribution."""
    if prediction.reason in (NO_VIEW, OOD_MESSAGE):
        return ViewPath((), 0.0)
    depth = sum(confidence >= _SAYS for confidence in prediction.confidence)
    return ViewPath(prediction.best[:depth], prediction.confidence[depth - 1] if depth else 0.0)
