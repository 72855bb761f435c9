"""Charts of a report as inline SVG; report.css gives the colors, for light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from aisle.charts import Chart, figure

if TYPE_CHECKING:
    from aisle.evaluation.scores import CoveragePoint, Decisions, GuaranteeCurve, ReliabilityBin

INK, MODEL, GAP = "var(--ink-2)", "var(--model)", "var(--wrong)"
_PAGE: dict[str, Any] = {"ink": INK, "grid": "var(--line)"}
_STYLE = "font-family: var(--sans)"


class DecisionPoint(NamedTuple):
    """Coverage and precision of the decisions, with limits of the precision."""

    coverage: float
    precision: float
    low: float
    high: float


def reliability_plot(bins: Sequence[ReliabilityBin]) -> str:
    """Accuracy against confidence, and a histogram of the products below."""
    max_count = max((b.count for b in bins), default=0) or 1
    axis: dict[str, Any] = {"width": 420, "left": 26 + 6.2 * max(4, len(f"{max_count:,}")), **_PAGE}
    top = Chart(height=260, y=(0, 1.02), y_label="right", percent="xy", **axis)
    bottom = Chart(
        height=96,
        y=(0, max_count * 1.05),
        x_label="confidence",
        y_label="products",
        percent="x",
        y_ticks=2,
        **axis,
    )
    top.line([(0, 0), (1, 1)], INK, 1, dashed=True)
    for b in bins:
        if b.accuracy is None or b.confidence is None:
            continue
        center, half = (b.low + b.high) / 2, (b.high - b.low) * 0.43
        top.rectangle((center - half, center + half), (0, b.accuracy), MODEL, 0.6)
        top.line([(center, b.accuracy), (center, b.confidence)], GAP, 2.2)
        top.dot(center, b.confidence, GAP, 2)
        bottom.rectangle((center - half, center + half), (0, b.count), INK, 0.35)
    return figure([top, bottom], stacked=True, style=_STYLE)


def coverage_plot(points: Sequence[CoveragePoint], decisions: Decisions | None) -> str:
    """The precision-coverage curve, with the decisions of the policy, if any."""
    accept = decisions.accept if decisions else None
    lowest = min((p.precision for p in points), default=0.0)
    if accept and accept.precision:
        lowest = min(lowest, accept.precision.low)
    chart = Chart(
        420, 340, x=(0, 1.01), y=(max(0.0, lowest - 0.06), 1.01),
        x_label="answered", y_label="right among them", percent="xy", **_PAGE,
    )  # fmt: skip
    chart.line([(p.coverage, p.precision) for p in points], MODEL, 2.4)
    if accept and accept.precision:
        precision = accept.precision
        chart.interval(accept.coverage, precision.value, precision.low, precision.high, GAP)
        chart.text(min(accept.coverage + 0.02, 0.84), precision.value + 0.01, "accepted")
    return figure([chart], style=_STYLE)


def guarantee_plot(
    curves: Sequence[GuaranteeCurve], guaranteed: float | None, point: DecisionPoint | None, low: float
) -> str:
    """The first curve with its limits, others fainter; a dashed line at the guaranteed precision.

    Args:
        curves: at least one.
        guaranteed: the guaranteed precision.
        point: the decisions taken.
        low: the lowest precision to show.
    """
    low = min(low, point.low, guaranteed or 1) if point else min(low, guaranteed or 1)
    y = (max(0.0, low - 0.05), 1.015)
    chart = Chart(320, 225, x=(0, 1.02), y=y, x_label="answered", percent="xy", y_ticks=4, **_PAGE)
    for curve in curves[:0:-1]:
        chart.line(list(zip(curve.coverage, curve.precision, strict=True)), INK, 1.2)
    first = curves[0]
    upper, lower = (list(zip(first.coverage, side, strict=True)) for side in (first.upper, first.lower))
    chart.area(upper, lower, MODEL)
    chart.line(list(zip(first.coverage, first.precision, strict=True)), MODEL, 2)
    if guaranteed is not None:
        chart.line([(0, guaranteed), (1.02, guaranteed)], INK, 1.2, dashed=True)
    if point:
        chart.interval(point.coverage, point.precision, point.low, point.high, GAP)
    return figure([chart], style=_STYLE)
