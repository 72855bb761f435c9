"""What several commands print about a model's operating curve."""

from pathlib import Path
from typing import TYPE_CHECKING

from aisle.cli import console

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.guarantee import CurveSummary, Policy


def print_curve(policy: "Policy", run: Path, *sources: object) -> None:
    """Print the operating curve, what is guaranteed, and where nothing is decided, what to type instead.

    Args:
        policy: The model's.
        run: The model's folder, for the command.
        sources: Rows to classify, for the command.
    """
    from aisle.guarantee import summarize_curve

    found = summarize_curve(policy)
    if found.points:
        console.out.print(curve_table(found))
        console.out.print(found.statement, markup=False)
    if found.advice:
        console.out.print(f"{found.advice[0].upper()}{found.advice[1:]}.", markup=False)
    print_instead(found, run, *sources)
    if found.labels:
        console.out.print(found.labels, markup=False)
        if found.label_gain is not None and found.label_gain.points >= 1:
            labels = str(found.label_gain.labels)
            words = "label-next", run, "NEW.csv", "--k", labels, "--method", "random"
            console.print_paths(label=console.command(*words))


def print_instead(found: "CurveSummary", run: Path, *sources: object) -> None:
    """Where nothing is decided at the chosen precision, print the command that chooses another one."""
    if found.instead is not None:
        words = "classify", run, *(sources or ("NEW.csv",)), "--precision", f"{found.instead:g}"
        console.print_paths(instead=console.command(*words))


def curve_table(found: "CurveSummary") -> "Table":
    """What is decided automatically at each precision: full paths, branches by level, the rest for review."""
    from rich.table import Table

    from aisle.guarantee.curve_summary import exact, share

    levels = max((len(point.branch) for point in found.points), default=0)
    shown = [k for k in range(levels) if any(point.branch[k] > 0 for point in found.points)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("precision", "full path", *(f"to level {k + 1}" for k in shown), "automatic", "review"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in found.points:
        parts = (point.full, *(point.branch[k] for k in shown), point.decided, point.review)
        style = "bold" if point.precision == found.precision else ""
        mark = "▸ " if point.precision == found.precision else ""
        table.add_row(mark + exact(point.precision), *map(share, parts), style=style)
    return table
