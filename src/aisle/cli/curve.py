"""Printing of a model's operating curve, shared by several commands."""

from pathlib import Path
from typing import TYPE_CHECKING

from aisle.cli import console

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.guarantee import CurveSummary, Policy


def print_curve(policy: "Policy", run: Path, *sources: object) -> None:
    """Print the operating curve, the guarantee, and the command to run if nothing is decided.

    Args:
        policy: The model's.
        run: The model's folder, for the command.
        sources: Rows to classify, for the command.
    """
    from aisle.guarantee import summarize_curve

    summary = summarize_curve(policy)
    if summary.points:
        console.out.print(curve_table(summary))
        console.out.print(summary.statement, markup=False)
    if summary.advice:
        console.out.print(f"{summary.advice[0].upper()}{summary.advice[1:]}.", markup=False)
    print_instead(summary, run, *sources)
    if summary.labels:
        console.out.print(summary.labels, markup=False)
        if summary.label_gain is not None and summary.label_gain.points >= 1:
            labels = str(summary.label_gain.labels)
            words = "label-next", run, "NEW.csv", "--k", labels, "--method", "random"
            console.print_paths(label=console.command(*words))


def print_instead(summary: "CurveSummary", run: Path, *sources: object) -> None:
    """Where nothing is decided at the chosen precision, print the command that chooses another one."""
    if summary.instead is not None:
        words = "classify", run, *(sources or ("NEW.csv",)), "--precision", f"{summary.instead:g}"
        console.print_paths(instead=console.command(*words))


def curve_table(summary: "CurveSummary") -> "Table":
    """Shares decided automatically at each precision: full paths, branches by level, and review."""
    from rich.table import Table

    from aisle.guarantee.curve_summary import exact, share

    levels = max((len(point.branch) for point in summary.points), default=0)
    branch_levels = [k for k in range(levels) if any(point.branch[k] > 0 for point in summary.points)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in (
        "precision",
        "full path",
        *(f"to level {k + 1}" for k in branch_levels),
        "automatic",
        "review",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for point in summary.points:
        parts = (point.full, *(point.branch[k] for k in branch_levels), point.decided, point.review)
        style = "bold" if point.precision == summary.precision else ""
        mark = "▸ " if point.precision == summary.precision else ""
        table.add_row(mark + exact(point.precision), *map(share, parts), style=style)
    return table
