"""What speaks against a label, in sentences."""

from collections.abc import Mapping
from typing import Any

from aisle.evaluation.numbers import percent


def reasons(told: Mapping[str, Any]) -> tuple[str, ...]:
    """The evidence of one finding, the strongest first; `told` are its fields."""
    found = [_models(told), _duplicates(told), _neighbours(told), _views(told), _rare(told)]
    return tuple(sentence for sentence in found if sentence)


def _models(told: Mapping[str, Any]) -> str:
    present, proposed = told["present_confidence"], told["confidence"]
    if proposed <= present:
        return ""
    return (
        f"the confidence of models that have not seen it: {percent(proposed, 0)} the proposal, "
        f"{percent(present, 0)} the label"
    )


def _duplicates(told: Mapping[str, Any]) -> str:
    count, agree = told["duplicates"], told["duplicates_agree"]
    if not count or agree is None or agree == 1:
        return ""
    differ = round(count * (1 - agree))
    noun = "duplicate is" if count == 1 else "duplicates are"
    return f"{differ} of its {count} {noun} labelled otherwise"


def _neighbours(told: Mapping[str, Any]) -> str:
    present, proposed = told["neighbours_present"], told["neighbours_proposed"]
    if present is None or proposed is None or proposed <= present:
        return ""
    shares = f"{percent(proposed, 0)} of their vote is for the proposal, {percent(present, 0)} for the label"
    return f"products like it: {shares}"


def _views(told: Mapping[str, Any]) -> str:
    text, picture, present = told["text_says"], told["picture_says"], told["present"]
    if text is None or picture is None:
        return ""
    depth = min(2, len(present))
    if text == picture != present:
        return "text and picture, each alone, agree on another place"
    if text[:depth] != picture[:depth]:
        if picture == present:
            return "the picture agrees with the label, the text does not"
        if text == present:
            return "the text agrees with the label, the picture does not"
        return "text and picture, each alone, say different things"
    return ""


def _rare(told: Mapping[str, Any]) -> str:
    others = told["others"]
    if others == 0:
        return "the only product with this label"
    return f"one of {others + 1} products with this label" if others < 3 else ""
