"""A model in three lines, and in a notebook."""

from typing import TYPE_CHECKING

from markupsafe import Markup

from aisle.guarantee.curve_summary import exact, summarize_curve
from aisle.inference.training_counts import training_products
from aisle.repr_html import card, line, lines, percent, shortened, table

if TYPE_CHECKING:
    from aisle.inference.base_predictor import BasePredictor

_NAMES = 8  # of views and members that a line names


def summary_lines(model: "BasePredictor") -> tuple[str, str, str]:
    """A summary of the model: kind, inputs, training data and guarantees."""
    tree, recipe = model.taxonomy, model.results.get("recipe")
    kind = f"{type(model).__name__}{f' {recipe!r}' if recipe else ''}{_members(model)}"
    number = training_products(model)
    trained = "unknown training products" if number is None else f"{number:,} training products"
    return (
        f"{kind}: {len(tree.terminals):,} categories on {tree.depth} levels; reads {_listed(model.views)}",
        f"{trained}; model id {model.model_id}",
        _guarantee(model),
    )


def model_html(model: "BasePredictor") -> str:
    """The summary, the metrics that were measured, and the operating curve."""
    first, *others = summary_lines(model)
    metrics = model.results.get("metrics") or {}
    measured = [(name, percent(float(value))) for name, value in metrics.items()]
    on = model.results.get("evaluated_on")
    points = [
        (
            _emphasized(exact(point.precision), point.precision == model.policy.settings.precision),
            percent(point.full),
            percent(sum(point.branch)),
            percent(point.review),
        )
        for point in summarize_curve(model.policy).points
    ]
    return card(
        first,
        lines(others),
        line(f"measured on {on}:") if measured and on else "",
        table((), measured) if measured else "",
        table(("guaranteed precision", "full path", "branch", "for review"), points) if points else "",
    )


def _guarantee(model: "BasePredictor") -> str:
    policy, rules = model.policy, "" if model.rules is None else f"; {model.rules.statement}"
    if policy.point is None:
        return f"not calibrated: every product is left for review{rules}"
    point = next(p for p in summarize_curve(policy).points if p.precision == policy.point.precision)
    return f"guaranteed precision {exact(policy.settings.precision)}: {point.text}{rules}"


def _members(model: "BasePredictor") -> str:
    names = getattr(model, "names", None)
    if names is None and (stages := getattr(model, "models", None)):
        names = [str(stage.results.get("recipe", "?")) for stage in stages]
    return f" of {_listed(names)}" if names else ""


def _listed(names: object) -> str:
    known = [shortened(str(name), 30) for name in names]  # type: ignore[attr-defined]
    more = len(known) - _NAMES
    return ", ".join([*known[:_NAMES], *([f"{more} more"] if more > 0 else [])])


def _emphasized(text: str, emphasized: bool) -> Markup:
    return Markup("<b>{}</b>" if emphasized else "{}").format(text)
