"""Sentences that explain why a label is suspicious."""

from collections.abc import Mapping
from typing import Any

from aisle.evaluation.numbers import percent


def reasons(finding: Mapping[str, Any]) -> tuple[str, ...]:
    """The evidence against one label, strongest first.

    Args:
        finding: The fields of an `AuditFinding`.
    """
    rules = (_models, _duplicates, _neighbors, _views, _rare)
    return tuple(sentence for rule in rules if (sentence := rule(finding)))


def _models(finding: Mapping[str, Any]) -> str:
    present, proposed = finding["present_confidence"], finding["confidence"]
    if proposed <= present:
        return ""
    return (
        f"models that were not trained on it give the proposal {percent(proposed, 0)} confidence, "
        f"the label {percent(present, 0)}"
    )


def _duplicates(finding: Mapping[str, Any]) -> str:
    count, agree = finding["duplicates"], finding["duplicates_agree"]
    if not count or agree is None or agree == 1:
        return ""
    if count == 1:
        return "its duplicate has another label"
    return f"{round(count * (1 - agree))} of its {count} duplicates have another label"


def _neighbors(finding: Mapping[str, Any]) -> str:
    present, proposed = finding["neighbors_present"], finding["neighbors_proposed"]
    if present is None or proposed is None or proposed <= present:
        return ""
    return (
        f"similar products vote {percent(proposed, 0)} for the proposal, {percent(present, 0)} for the label"
    )


def _views(finding: Mapping[str, Any]) -> str:
    text, image, present = finding["text_prediction"], finding["image_prediction"], finding["present"]
    if text is None or image is None:
        return ""
    depth = min(2, len(present))
    if text == image != present:
        return "the text alone and the image alone both suggest another category"
    if text[:depth] == image[:depth]:
        return ""
    if image == present:
        return "the image agrees with the label, the text does not"
    if text == present:
        return "the text agrees with the label, the image does not"
    return "the text alone and the image alone suggest different categories"


def _rare(finding: Mapping[str, Any]) -> str:
    others = finding["others"]
    if others == 0:
        return "it is the only product with this label"
    return f"only {others + 1} products have this label" if others < 3 else ""
