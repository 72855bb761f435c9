"""Curves as inline SVG whose colours follow the page (light, dark) through CSS variables."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from aisle.evaluation.result import CoveragePoint, Decisions, PromiseCurve, ReliabilityBin


# Stand-ins that matplotlib can write; each becomes a variable of report.css.
INK, FAINT, MODEL, GAP = "#010101", "#020202", "#030303", "#040404"
VARIABLES = {INK: "var(--ink-2)", FAINT: "var(--line)", MODEL: "var(--model)", GAP: "var(--wrong)"}
SIZE = (4.4, 3.5)  # inches; the page scales it
SMALL = (3.3, 2.3)  # one of many side by side


class Marked(NamedTuple):
    """What was decided: the share answered, how much of it is right, between limits."""

    coverage: float
    precision: float
    low: float
    high: float


def reliability_plot(bins: Sequence[ReliabilityBin]) -> str:
    """Accuracy against confidence, and below it how many products each bar stands for."""
    figure = Figure(figsize=SIZE, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    used = [b for b in bins if b.accuracy is not None and b.confidence is not None]
    width = (bins[0].high - bins[0].low) * 0.86 if bins else 0.05
    middle = [(b.low + b.high) / 2 for b in used]
    accuracy, sure = [b.accuracy or 0.0 for b in used], [b.confidence or 0.0 for b in used]
    top.plot([0, 1], [0, 1], color=INK, lw=1, ls=(0, (4, 4)))
    top.bar(middle, accuracy, width, color=MODEL, alpha=0.6)
    top.vlines(middle, accuracy, sure, color=GAP, lw=2.2)
    top.scatter(middle, sure, s=9, color=GAP, zorder=3)
    bottom.bar(middle, [b.count for b in used], width, color=INK, alpha=0.35)
    top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="right")
    bottom.set(xlabel="confidence", ylabel="products")
    bottom.yaxis.set_major_locator(mpl.ticker.MaxNLocator(2, integer=True))  # type: ignore[attr-defined]
    _percent(top.yaxis, bottom.xaxis)
    return _svg(figure, (top, bottom), "reliability")


def coverage_plot(points: Sequence[CoveragePoint], decisions: Decisions | None) -> str:
    """Precision when only the surest share of products is answered, with the decisions taken, if any."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    coverage, precision = [p.coverage for p in points], [p.precision for p in points]
    axes.plot(coverage, precision, color=MODEL, lw=2.2)
    lowest = min(precision, default=0.0)
    if decisions and (chosen := decisions.accept).precision:
        share, at = chosen.precision, chosen.coverage
        lowest = min(lowest, share.low)
        axes.errorbar(
            at, share.value, color=GAP, fmt="o", ms=7, capsize=4,
            yerr=[[share.value - share.low],
                  [share.high - share.value]],
        )  # fmt: skip
        axes.annotate(
            "accepted", (at, share.value), (8, 8),
            textcoords="offset points", color=INK, fontsize=9,
        )  # fmt: skip
    axes.set(
        xlim=(0, 1.01), ylim=(max(0.0, lowest - 0.06), 1.01), xlabel="answered", ylabel="right among them"
    )
    _percent(axes.xaxis, axes.yaxis)
    return _svg(figure, (axes,), "coverage")


def promise_plot(
    curves: Sequence[PromiseCurve], promised: float | None, marked: Marked | None, low: float, name: str
) -> str:
    """The first curve with its limits, others fainter; a dashed line at what was promised.

    low: the lowest precision to show. name: unlike any other plot's on the page.
    """
    figure = Figure(figsize=SMALL)
    axes = figure.add_axes((0.165, 0.21, 0.775, 0.75))
    for curve in curves[:0:-1]:
        axes.plot(curve.coverage, curve.precision, color=INK, lw=1.2, alpha=0.6)
    first = curves[0]
    axes.fill_between(first.coverage, first.lower, first.upper, color=MODEL, alpha=0.16, lw=0)
    axes.plot(first.coverage, first.precision, color=MODEL, lw=2)
    if promised is not None:
        axes.axhline(promised, color=INK, lw=1.2, ls=(0, (4, 3)))
    if marked:
        low = min(low, marked.low)
        ends = [[marked.precision - marked.low], [marked.high - marked.precision]]
        axes.errorbar(marked.coverage, marked.precision, ends, color=GAP, fmt="o", ms=6, capsize=3)
    axes.set(xlim=(0, 1.02), ylim=(max(0.0, min(low, promised or 1) - 0.05), 1.015), xlabel="answered")
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))  # type: ignore[attr-defined]
    _percent(axes.xaxis, axes.yaxis)
    return _svg(figure, (axes,), name, letters=10)


def _percent(*axes: object) -> None:
    for axis in axes:
        axis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))  # type: ignore[attr-defined]


def _svg(figure: Figure, axes: Sequence[Axes], name: str, letters: float = 9) -> str:
    for each in axes:
        each.grid(color=FAINT, lw=0.8)
        each.set_axisbelow(True)
        each.tick_params(colors=INK, length=0, labelsize=letters)
        each.xaxis.label.set(color=INK, size=letters + 0.5)
        each.yaxis.label.set(color=INK, size=letters + 0.5)
        for spine in each.spines.values():
            spine.set_visible(False)
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]  # no doctype: it names an outside address
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"""(font: [\d.]+px) [^;"]*""", r"\1 var(--sans)", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text))
    text = re.sub(r'id="([^"]*)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
    for stand_in, variable in VARIABLES.items():
        text = text.replace(stand_in, variable)
    return text.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
