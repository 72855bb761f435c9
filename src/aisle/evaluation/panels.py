"""The page's panels of a guarantee: one a level, then one a top category, each a curve and what happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from aisle.evaluation.plots import DecisionPoint, guarantee_plot
from aisle.taxonomy import format_path

if TYPE_CHECKING:
    from aisle.evaluation.result import Evaluation
    from aisle.evaluation.scores import GuaranteeCheck, GuaranteeCurve

BRANCHES = 24  # the largest; report.json holds all
FEWEST = 30  # products under a curve worth looking at


@dataclass(frozen=True)
class Panel:
    """A precision-coverage curve of one level or one top category.

    Attributes:
        title: The heading.
        products: How many products the curve counts.
        plot: The curve as SVG.
        check: The guarantee that the plot shows. None where these decisions carry no guarantee of their own.
        key: The path of `check` in report.json, with dots; empty without a check.
    """

    title: str
    products: int
    plot: Markup
    check: GuaranteeCheck | None
    key: str


def level_panels(evaluation: Evaluation) -> list[Panel]:
    """The full path, then every level."""
    guarantee = evaluation.guarantee
    return [] if guarantee is None else list(_levels(evaluation))


def branch_panels(evaluation: Evaluation) -> list[Panel]:
    """The top categories with most products, full paths in them (and, fainter, the category itself)."""
    guarantee = evaluation.guarantee
    if guarantee is None:
        return []
    full = {c.branch: c for c in guarantee.curves if c.branch and not c.level and c.products >= FEWEST}
    above = {c.branch: c for c in guarantee.curves if c.branch and c.level == 1}
    largest = sorted(full.values(), key=lambda c: -c.products)[:BRANCHES]
    names = {n.id: n.path for n in evaluation.nodes}
    low = _low(largest)
    panels = []
    for curve in largest:
        check, key = _find(evaluation, "accept", curve.branch)
        both = [curve, *([above[curve.branch]] if curve.branch in above else [])]
        title = format_path(names.get(curve.branch, (curve.branch,)))
        plot = guarantee_plot(both, _guaranteed(check), _marked(check), low)
        panels.append(Panel(title, curve.products, Markup(plot), check, key))
    return panels


def _levels(evaluation: Evaluation) -> Iterator[Panel]:
    assert evaluation.guarantee is not None
    curves = [c for c in evaluation.guarantee.curves if not c.branch and c.products >= FEWEST]
    low = _low(curves)
    accept, key = _find(evaluation, "accept", "")
    partial, _ = _find(evaluation, "partial", "")
    placed = evaluation.decisions.levels if evaluation.decisions else ()
    for curve in curves:
        if not curve.level:
            plot = guarantee_plot([curve], _guaranteed(accept), _marked(accept), low)
            yield Panel("Full path", curve.products, Markup(plot), accept, key)
            continue
        there = placed[curve.level - 1] if curve.level <= len(placed) else None
        marked = None
        if there and there.precision:
            share = min(there.count / curve.products, 1.0)  # of those whose best path is as deep
            marked = DecisionPoint(share, there.precision.value, there.precision.low, there.precision.high)
        plot = guarantee_plot([curve], _guaranteed(partial), marked, low)
        yield Panel(f"Level {curve.level}", curve.products, Markup(plot), None, "")


def _find(evaluation: Evaluation, verdict: str, branch: str) -> tuple[GuaranteeCheck | None, str]:
    """The guarantee of this kind at all levels there, and its key in the JSON."""
    checks = evaluation.guarantee.checks if evaluation.guarantee else ()
    for index, check in enumerate(checks):
        if (check.verdict, check.level, check.branch) == (verdict, 0, branch):
            return check, f"guarantee.checks.{index}"
    return None, ""


def _guaranteed(check: GuaranteeCheck | None) -> float | None:
    return check.guaranteed if check else None


def _marked(check: GuaranteeCheck | None) -> DecisionPoint | None:
    if check is None or check.precision is None:
        return None
    return DecisionPoint(check.coverage, check.precision, check.lower, check.upper)


def _low(curves: list[GuaranteeCurve]) -> float:
    """One lower end for all panels side by side, so that they can be compared."""
    return min((c.precision[-1] for c in curves), default=0.0)
