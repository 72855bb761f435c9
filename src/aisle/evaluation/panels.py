"""Panels of a guarantee: precision-coverage curves of each level and each top category."""

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
MIN_PRODUCTS = 30  # products under a curve worth looking at


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
    full = {c.branch: c for c in guarantee.curves if c.branch and not c.level and c.products >= MIN_PRODUCTS}
    level1 = {c.branch: c for c in guarantee.curves if c.branch and c.level == 1}
    largest = sorted(full.values(), key=lambda c: -c.products)[:BRANCHES]
    names = {n.id: n.path for n in evaluation.nodes}
    min_precision = _min_precision(largest)
    panels = []
    for curve in largest:
        check, key = _find(evaluation, "accept", curve.branch)
        shown = [curve, *([level1[curve.branch]] if curve.branch in level1 else [])]
        title = format_path(names.get(curve.branch, (curve.branch,)))
        plot = guarantee_plot(shown, _guaranteed(check), _decision_point(check), min_precision)
        panels.append(Panel(title, curve.products, Markup(plot), check, key))
    return panels


def _levels(evaluation: Evaluation) -> Iterator[Panel]:
    assert evaluation.guarantee is not None
    curves = [c for c in evaluation.guarantee.curves if not c.branch and c.products >= MIN_PRODUCTS]
    min_precision = _min_precision(curves)
    accept, key = _find(evaluation, "accept", "")
    partial, _ = _find(evaluation, "partial", "")
    level_scores = evaluation.decisions.levels if evaluation.decisions else ()
    for curve in curves:
        if not curve.level:
            plot = guarantee_plot([curve], _guaranteed(accept), _decision_point(accept), min_precision)
            yield Panel("Full path", curve.products, Markup(plot), accept, key)
            continue
        decided = level_scores[curve.level - 1] if curve.level <= len(level_scores) else None
        point = None
        if decided and decided.precision:
            share = min(decided.count / curve.products, 1.0)  # of those whose best path is as deep
            point = DecisionPoint(
                share, decided.precision.value, decided.precision.low, decided.precision.high
            )
        plot = guarantee_plot([curve], _guaranteed(partial), point, min_precision)
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


def _decision_point(check: GuaranteeCheck | None) -> DecisionPoint | None:
    if check is None or check.precision is None:
        return None
    return DecisionPoint(check.coverage, check.precision, check.lower, check.upper)


def _min_precision(curves: list[GuaranteeCurve]) -> float:
    """One lower end for all panels side by side, so that they can be compared."""
    return min((c.precision[-1] for c in curves), default=0.0)
