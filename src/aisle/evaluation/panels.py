"""The page's panels of a promise: one a level, then one a top category, each a curve and what happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from aisle.evaluation.plots import DecisionPoint, guarantee_plot
from aisle.taxonomy import format_path

if TYPE_CHECKING:
    from aisle.evaluation.result import Evaluation, GuaranteeCheck, GuaranteeCurve

BRANCHES = 24  # the largest; report.json holds all
FEWEST = 30  # products under a curve worth looking at


@dataclass(frozen=True)
class Panel:
    """A curve as SVG under its `title`. kept: the promise drawn in it, and `key`, where it stands in the
    JSON; None where the panel's decisions carry no promise of their own."""

    title: str
    products: int
    plot: Markup
    kept: GuaranteeCheck | None
    key: str


def level_panels(evaluation: Evaluation) -> list[Panel]:
    """The full path, then every level."""
    promised = evaluation.promised
    return [] if promised is None else list(_levels(evaluation))


def branch_panels(evaluation: Evaluation) -> list[Panel]:
    """The top categories with most products, full paths in them (and, fainter, the category itself)."""
    promised = evaluation.promised
    if promised is None:
        return []
    full = {c.branch: c for c in promised.curves if c.branch and not c.level and c.products >= FEWEST}
    above = {c.branch: c for c in promised.curves if c.branch and c.level == 1}
    largest = sorted(full.values(), key=lambda c: -c.products)[:BRANCHES]
    names = {n.id: n.path for n in evaluation.nodes}
    low = _low(largest)
    panels = []
    for curve in largest:
        kept, key = _find(evaluation, "accept", curve.branch)
        both = [curve, *([above[curve.branch]] if curve.branch in above else [])]
        title = format_path(names.get(curve.branch, (curve.branch,)))
        plot = guarantee_plot(both, _asked(kept), _marked(kept), low)
        panels.append(Panel(title, curve.products, Markup(plot), kept, key))
    return panels


def _levels(evaluation: Evaluation) -> Iterator[Panel]:
    assert evaluation.promised is not None
    curves = [c for c in evaluation.promised.curves if not c.branch and c.products >= FEWEST]
    low = _low(curves)
    accept, key = _find(evaluation, "accept", "")
    partial, _ = _find(evaluation, "partial", "")
    placed = evaluation.decisions.levels if evaluation.decisions else ()
    for curve in curves:
        if not curve.level:
            plot = guarantee_plot([curve], _asked(accept), _marked(accept), low)
            yield Panel("Full path", curve.products, Markup(plot), accept, key)
            continue
        there = placed[curve.level - 1] if curve.level <= len(placed) else None
        marked = None
        if there and there.precision:
            share = min(there.count / curve.products, 1.0)  # of those whose best path is as deep
            marked = DecisionPoint(share, there.precision.value, there.precision.low, there.precision.high)
        plot = guarantee_plot([curve], _asked(partial), marked, low)
        yield Panel(f"Level {curve.level}", curve.products, Markup(plot), None, "")


def _find(evaluation: Evaluation, verdict: str, branch: str) -> tuple[GuaranteeCheck | None, str]:
    """The promise of this kind at all levels there, and its key in the JSON."""
    kept = evaluation.promised.kept if evaluation.promised else ()
    for place, k in enumerate(kept):
        if (k.verdict, k.level, k.branch) == (verdict, 0, branch):
            return k, f"promised.kept.{place}"
    return None, ""


def _asked(kept: GuaranteeCheck | None) -> float | None:
    return kept.promised if kept else None


def _marked(kept: GuaranteeCheck | None) -> DecisionPoint | None:
    if kept is None or kept.precision is None:
        return None
    return DecisionPoint(kept.coverage, kept.precision, kept.lower, kept.upper)


def _low(curves: list[GuaranteeCurve]) -> float:
    """One lower end for all panels side by side, so that they can be compared."""
    return min((c.precision[-1] for c in curves), default=0.0)
