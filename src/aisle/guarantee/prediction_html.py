"""Predictions in a notebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from aisle.data import Product
from aisle.data.catalog_html import thumbnail_html, title_of
from aisle.repr_html import card, line, percent, shortened, table
from aisle.taxonomy import format_path

if TYPE_CHECKING:
    from aisle.guarantee.prediction import Prediction
    from aisle.guarantee.prediction_list import Predictions

_ROWS = 20  # shown
DECISION_NAMES = {"accept": "full path", "partial": "partial path", "review": "for review"}


def predictions_html(found: "Predictions") -> str:
    """The first predictions with thumbnails and confidences, and the number of each decision."""
    shown = found[:_ROWS]
    products: Sequence[Product | None] = shown.products or [None] * len(shown)
    rows = [_row(one, product) for one, product in zip(shown, products, strict=True)]
    header = ("", "product", "decision", "path", "confidence", "reason")
    left = len(found) - len(shown)
    return card(
        f"Predictions: {found.summary()}",
        table(header, rows) if rows else "",
        line(f"and {left:,} more") if left else "",
    )


def prediction_html(one: "Prediction") -> str:
    """One prediction: the decision, its reason, and the alternatives with their confidences."""
    rows = [(format_path(path), percent(confidence)) for path, confidence in one.alternatives]
    decided = format_path(one.path) or format_path(one.best)
    return card(f"{DECISION_NAMES[one.decision]}: {decided}", line(one.reason), table((), rows))


def _row(one: "Prediction", product: Product | None) -> tuple[object, ...]:
    path = Markup("<b>{}</b>").format(format_path(one.path)) if one.path else Markup("")
    rest = one.best[len(one.path) :] if one.best[: len(one.path)] == one.path else ()
    if rest:
        opened = " > " if one.path else ""
        path += Markup('<span style="opacity:.6">{}{}</span>').format(opened, format_path(rest))
    return (
        "" if product is None else thumbnail_html(product),
        one.id if product is None else shortened(title_of(product) or one.id),
        DECISION_NAMES[one.decision],
        path,
        percent(one.path_confidence) if one.confidence else "",
        shortened(one.reason, 120),
    )
