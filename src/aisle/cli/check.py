"""`aisle check`: summarises a catalog and lists its problems."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len, set_cell_size
from rich.padding import Padding
from rich.text import Text

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, LabelledCatalogOptions, Quiet, Source
from aisle.cli.summary import count

if TYPE_CHECKING:
    from rich.console import Console

    from aisle.data.check import CheckReport, ColumnSummary
    from aisle.data.finding import Finding

_MARKS = {"error": ("✗", "red"), "warning": ("!", "yellow"), "note": ("·", "cyan")}
_WIDE, _FIELDS = 60, 20  # columns that are all printed; else how many of those without a role are
_MIN_GROUPED, _MAX_NAMED = 4, 8  # columns with one finding that are grouped; how many of them are named


@command("check", "Check a catalog and list its problems.", section="Catalog")
def check(
    source: Source,
    options: LabelledCatalogOptions,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the findings as one HTML page with images.")
    ] = None,
    images: Annotated[bool, typer.Option(help="Decode and compare all images.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first problem (exit 1).")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Summarise a catalog: rows, columns, classes, duplicates, images, problems, and what is done about each
    problem. Exit code 1: --strict found a problem; 2: the catalog cannot be read."""
    from aisle.data.check import check as check_catalog
    from aisle.data.problems import FirstProblemError

    progress = console.progress(quiet or as_json)
    try:
        catalog = options.read(source, strict=strict, progress=progress)
        report = check_catalog(catalog, images=images, strict=strict, progress=progress)
    except FirstProblemError as error:
        if as_json:
            console.print_json({"ok": False, "problems": [error.problem._asdict()]})
        console.err.print(str(error), style="bold red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if html is not None:
        report.to_html(html)
    if as_json:
        console.print_json(report.to_dict())
    else:
        print_report(report, console.out, quiet)
    if html is not None:
        console.say(f"page: {html}", quiet)


def print_report(report: "CheckReport", out: "Console", quiet: bool = False) -> None:
    """Print the report; if `quiet`, only errors."""
    if not quiet:
        _header(report, out)
        _columns(report, out)
        _classes(report, out)
    findings = [f for f in report.findings if not quiet or f.severity == "error"]
    if findings:
        out.print()
        out.print("Found", style="bold")
    for same in _group_by_message(findings):
        if len(same) < _MIN_GROUPED:
            for finding in same:
                _finding(finding, out, quiet)
        else:
            _findings_of_columns(same, out)
    if not quiet and not report.findings:
        out.print("\nNo problems found.", style="green")


def _finding(finding: "Finding", out: "Console", quiet: bool) -> None:
    _message(finding.severity, finding.message, finding.amount, finding.action, out)
    for line in _examples(finding)[: 0 if quiet else 3]:
        line = f"    {console.printable(line)}"
        out.print(line, markup=False, no_wrap=True, overflow="ellipsis", soft_wrap=False)


def _message(severity: str, message: str, amount: str, action: str, out: "Console") -> None:
    """Print a finding and its consequence."""
    symbol, colour = _MARKS[severity]
    out.print(Text.assemble((f"{symbol} ", colour), f"{console.printable(message)}: ", (amount, "bold")))
    action_text = Text(f"→ {console.printable(action)}", "dim")
    out.print(Padding(action_text, (0, 0, 0, 4)) if out.is_terminal else Text.assemble("    ", action_text))


def _group_by_message(findings: "list[Finding]") -> "list[list[Finding]]":
    """The findings in order; those with equal messages for several columns are grouped."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for position, finding in enumerate(findings):
        unique_key = () if finding.column else (str(position),)
        groups.setdefault((finding.severity, finding.kind, _without_column(finding), *unique_key), []).append(
            finding
        )
    return list(groups.values())


def _without_column(finding: "Finding") -> str:
    """A finding's message without the column's name and shares."""
    return re.sub(r"\d[\d.,]*%", "nearly all", finding.message.removeprefix(f"{finding.column}: "))


def _findings_of_columns(findings: "list[Finding]", out: "Console") -> None:
    """One finding of many columns: their number, the first names, and what to do."""
    from aisle.data.columns import flag

    first = findings[0]
    columns = [finding.column for finding in findings]
    can_list = len(columns) <= _MAX_NAMED and not any("," in column for column in columns)
    drop = flag("ignored", *columns) if can_list else "-c ignored=NAME,NAME,…"
    action, option, _ = first.action.partition("-c ")
    action = action + drop if option else action
    _message(first.severity, _without_column(first), f"{len(findings):,} columns", action, out)
    names = ", ".join(map(console.printable, columns[:_MAX_NAMED]))
    further = (
        f" and {len(columns) - _MAX_NAMED:,} more (--json lists all)" if len(columns) > _MAX_NAMED else ""
    )
    out.print(f"    {names}{further}", markup=False)


def _header(report: "CheckReport", out: "Console") -> None:
    out.print(report.source, style="bold", markup=False)
    if report.dialect:
        rows = count(report.source_rows, "row")
        out.print(f"{report.dialect}, {count(report.rows, 'product')} in {rows}", markup=False)
    noun = "products" if report.dialect else "rows"
    out.print(
        f"{report.rows:,} {noun}: {report.clean:,} without a problem, {report.flagged:,} with one, "
        f"{report.fatal:,} not used for training"
    )
    if len(report.files) > 1:
        out.print(f"{len(report.files):,} files", markup=False)
    if report.splits:
        out.print("split: " + ", ".join(f"{name} {count:,}" for name, count in report.splits), markup=False)
    if report.images:
        out.print(f"{report.images:,} images decoded")
    lacking = [f"{count:,} without {name}" for name, count in report.missing if count]
    if lacking:
        out.print(f"{noun}: " + ", ".join(lacking), markup=False)
    labels = dict(report.mapping).get("labels")
    if labels:
        out.print(f"labels: {labels}", markup=False)


def _columns(report: "CheckReport", out: "Console") -> None:
    """One line per column; the most frequent value gets the remaining width."""
    lines = [("column", "role", "filled", "distinct", "most frequent value")]
    listed = _listed(report)
    for column in listed:
        part = {"fields": "field", "levels": "level"}.get(column.part, column.part)
        filled = f"{column.filled / max(report.rows, 1):.0%}"
        distinct = "" if column.distinct is None else f"{column.distinct:,}"
        lines.append(
            (console.printable(column.name), part, filled, distinct, console.printable(column.common))
        )
    widths = [min(40, max(cell_len(line[k]) for line in lines)) for k in range(4)]
    out.print()
    for position, (name, part, filled, distinct, common) in enumerate(lines):
        left = f"{set_cell_size(name, widths[0])}  {part:<{widths[1]}}"
        numbers = f"{filled:>{widths[2]}}  {distinct:>{widths[3]}}"
        line = set_cell_size(f"{left}  {numbers}  {common}", out.width).rstrip()
        out.print(line, style="dim" if position == 0 else "", markup=False)
    names = {column.name for column in listed}
    left = [column.name for column in report.columns if column.name not in names]
    if left and report.dialect:
        unused = ", ".join(map(console.printable, left[:_MAX_NAMED]))
        further = f" and {len(left) - _MAX_NAMED:,} more (--json lists all)" if left[_MAX_NAMED:] else ""
        out.print(f"blank or not read: {unused}{further}", style="dim", markup=False)
    elif left:
        out.print(f"… and {len(left):,} more columns (--json lists all)", style="dim")


def _listed(report: "CheckReport") -> "list[ColumnSummary]":
    """The columns that are printed: of a platform's export, those that are read.

    Of another file, all if it is narrow; else those with a role and some others.
    """
    if report.dialect:
        return [c for c in report.columns if c.filled and c.part not in ("ignored", "unused")][:_WIDE]
    if len(report.columns) <= _WIDE:
        return list(report.columns)
    vague = [
        column for column in report.columns if column.part in ("fields", "ignored", "attribute", "unused")
    ]
    left = {column.name for column in vague[_FIELDS:]}
    columns = [column for column in report.columns if column.name not in left]
    return columns[:_WIDE]


def _classes(report: "CheckReport", out: "Console") -> None:
    classes = report.classes
    if classes is None:
        return
    out.print()
    levels = " · ".join(f"level {x.level}: {x.nodes:,}" for x in report.levels)
    out.print(f"{classes.count:,} classes", style="bold", end="  ")
    out.print(levels, style="dim")
    out.print(
        f"rows per class: median {classes.median:g}, most {classes.largest:,}; the largest tenth hold "
        f"{classes.head_share:.0%} of the rows; {classes.tail:,} have fewer than 5, "
        f"{classes.singletons:,} just one"
    )
    widest = max(band.classes for band in classes.bands)
    for band in classes.bands:
        if not band.classes:
            continue
        upper = "" if band.max_rows >= 10**12 else f"–{band.max_rows:,}"
        name = f"{band.min_rows:,}{upper}" if band.min_rows != band.max_rows else f"{band.min_rows:,}"
        bar = "█" * round(30 * band.classes / widest) if widest else ""
        name += " row" if band.max_rows == 1 else " rows"
        noun = "class  " if band.classes == 1 else "classes"
        out.print(f"  {name:<16}{bar:<31}{band.classes:>6,} {noun} {band.rows:>9,} rows")
    for name, size in classes.top[:5]:
        out.print(
            f"  {size:>7,}  {console.printable(name)}",
            markup=False,
            no_wrap=True,
            overflow="ellipsis",
            soft_wrap=False,
        )


def _examples(finding: "Finding") -> list[str]:
    """Example rows of a finding, one line each."""
    lines = []
    for group in finding.groups:
        labels = " | ".join(dict.fromkeys(example.label for example in group))
        lines.append(f"rows {', '.join(f'{e.row:,}' for e in group)}: {group[0].value[:40]} — {labels}")
    for example in finding.examples:
        text = f"{example.value} — {example.label}" if example.label else example.value
        lines.append(f"row {example.row:,}: {text}" if example.row else text)
    return [line for line in lines if line]
