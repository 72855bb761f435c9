"""`aisle check`: look a catalogue over before anyone learns from it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len, set_cell_size

from aisle.cli.catalog_flags import (
    ColumnFlag,
    ColumnsFlag,
    DateFormatFlag,
    DelimiterFlag,
    EncodingFlag,
    ImageRootFlag,
    MaxExpandedFlag,
    Source,
    TaxonomyFlag,
    open_catalog,
)

if TYPE_CHECKING:
    from rich.console import Console

    from aisle.data.check import CheckReport, ColumnSummary
    from aisle.data.finding import Finding

_MARKS = {"error": ("✗", "red"), "warning": ("!", "yellow"), "note": ("·", "cyan")}
_WIDE, _FIELDS = 60, 20  # columns that all get a line; else how many of those without a role do
_TOGETHER, _NAMED = 4, 8  # columns of which one thing is said at once; how many of them are named


def check(
    source: Source,
    taxonomy: TaxonomyFlag = None,
    column: ColumnFlag = None,
    columns: ColumnsFlag = None,
    image_root: ImageRootFlag = None,
    max_expanded: MaxExpandedFlag = None,
    delimiter: DelimiterFlag = None,
    encoding: EncodingFlag = None,
    date_format: DateFormatFlag = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the findings as one page with pictures.")
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Decode every picture, and compare them.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first problem (exit 1).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, and errors alone.")] = False,
) -> None:
    """Look a catalogue over: rows, columns, classes, duplicates, pictures, problems, and what is done
    about each. Exit 0: it was read; 1: --strict met a problem; 2: it cannot be read."""
    from aisle.cli import console
    from aisle.data.check import check as look_over
    from aisle.data.problems import FirstProblemError

    given = {
        "taxonomy": taxonomy,
        "column": column,
        "columns": columns,
        "image_root": image_root,
        "max_expanded": max_expanded,
        "delimiter": delimiter,
        "encoding": encoding,
        "date_format": date_format,
    }
    progress = console.progress(quiet or as_json)
    try:
        catalog = open_catalog(source, **given, strict=strict, progress=progress)
        report = look_over(catalog, images=pictures, strict=strict, progress=progress)
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
        show(report, console.out, quiet)
    if html is not None:
        console.say(f"page: {html}", quiet)


def show(report: "CheckReport", out: "Console", quiet: bool = False) -> None:
    """The report as a terminal page; quiet: what is wrong alone."""
    if not quiet:
        _header(report, out)
        _columns(report, out)
        _classes(report, out)
    shown = [f for f in report.findings if not quiet or f.severity == "error"]
    if shown:
        out.print()
        out.print("Found", style="bold")
    for alike in _alike(shown):
        if len(alike) < _TOGETHER:
            for finding in alike:
                _finding(finding, out, quiet)
        else:
            _findings_of_columns(alike, out)
    if not quiet and not report.findings:
        out.print("\nNothing found that wants a look.", style="green")


def _finding(finding: "Finding", out: "Console", quiet: bool) -> None:
    mark, colour = _MARKS[finding.severity]
    out.print(f"{mark} ", style=colour, end="")
    out.print(f"{_printable(finding.message)}: ", end="", markup=False)
    out.print(finding.amount, style="bold", markup=False)
    out.print(f"    → {_printable(finding.action)}", style="dim", markup=False)
    for line in _examples(finding)[: 0 if quiet else 3]:
        out.print(f"    {_printable(line)}", markup=False, no_wrap=True, overflow="ellipsis", soft_wrap=False)


def _alike(findings: "list[Finding]") -> "list[list[Finding]]":
    """The findings; those that say the same of several columns together, where the first of them stood."""
    found: dict[tuple[str, ...], list[Finding]] = {}
    for place, finding in enumerate(findings):
        own = () if finding.column else (str(place),)
        found.setdefault((finding.severity, finding.kind, _general(finding), *own), []).append(finding)
    return list(found.values())


def _general(finding: "Finding") -> str:
    """What a finding says of its column, without the column's name and shares."""
    return re.sub(r"\d[\d.,]*%", "nearly all", finding.message.removeprefix(f"{finding.column}: "))


def _findings_of_columns(findings: "list[Finding]", out: "Console") -> None:
    """One finding of many columns: how many, the first few names, and what to do."""
    from aisle.data.columns import flag

    first = findings[0]
    mark, colour = _MARKS[first.severity]
    out.print(f"{mark} ", style=colour, end="")
    out.print(f"{_printable(_general(first))}: ", end="", markup=False)
    out.print(f"{len(findings):,} columns", style="bold", markup=False)
    columns = [finding.column for finding in findings]
    few = len(columns) <= _NAMED and not any("," in column for column in columns)
    drop = flag("ignored", *columns) if few else "-c ignored=NAME,NAME,…"
    action, said, _ = first.action.partition("-c ")
    out.print(f"    → {_printable(action + drop if said else action)}", style="dim", markup=False)
    names = ", ".join(map(_printable, columns[:_NAMED]))
    more = f" and {len(columns) - _NAMED:,} more (--json lists all)" if len(columns) > _NAMED else ""
    out.print(f"    {names}{more}", markup=False)


def _header(report: "CheckReport", out: "Console") -> None:
    out.print(report.source, style="bold", markup=False)
    out.print(
        f"{report.rows:,} rows: {report.clean:,} without a problem, {report.flagged:,} with one, "
        f"{report.fatal:,} not learned from"
    )
    if len(report.files) > 1:
        out.print(f"{len(report.files):,} files", markup=False)
    if report.splits:
        out.print("split: " + ", ".join(f"{name} {count:,}" for name, count in report.splits), markup=False)
    if report.images:
        out.print(f"{report.images:,} pictures looked at")
    lacking = [f"{count:,} without {name}" for name, count in report.missing if count]
    if lacking:
        out.print("rows: " + ", ".join(lacking), markup=False)
    labels = dict(report.mapping).get("labels")
    if labels:
        out.print(f"labels: {labels}", markup=False)


def _columns(report: "CheckReport", out: "Console") -> None:
    """A line a column, of a wide file's fields the first; the commonest value gets what room is left."""
    lines = [("column", "read as", "filled", "distinct", "commonest value")]
    listed = _listed(report)
    for column in listed:
        part = {"fields": "field", "levels": "level"}.get(column.part, column.part)
        filled = f"{column.filled / max(report.rows, 1):.0%}"
        distinct = "" if column.distinct is None else f"{column.distinct:,}"
        lines.append((_printable(column.name), part, filled, distinct, _printable(column.common)))
    widths = [min(40, max(cell_len(line[k]) for line in lines)) for k in range(4)]
    out.print()
    for place, (name, part, filled, distinct, common) in enumerate(lines):
        left = f"{set_cell_size(name, widths[0])}  {part:<{widths[1]}}"
        numbers = f"{filled:>{widths[2]}}  {distinct:>{widths[3]}}"
        line = set_cell_size(f"{left}  {numbers}  {common}", out.width).rstrip()
        out.print(line, style="dim" if place == 0 else "", markup=False)
    left = len(report.columns) - len(listed)
    if left:
        out.print(f"… and {left:,} more columns (--json lists all)", style="dim")


def _listed(report: "CheckReport") -> "list[ColumnSummary]":
    """The columns that get a line: all of a file of usual width, else those with a role and some others."""
    if len(report.columns) <= _WIDE:
        return list(report.columns)
    vague = [column for column in report.columns if column.part in ("fields", "ignored", "unused")]
    left = {column.name for column in vague[_FIELDS:]}
    shown = [column for column in report.columns if column.name not in left]
    return shown[:_WIDE]


def _classes(report: "CheckReport", out: "Console") -> None:
    classes = report.classes
    if classes is None:
        return
    out.print()
    levels = " · ".join(f"level {x.level}: {x.nodes:,}" for x in report.levels)
    out.print(f"{classes.count:,} classes", style="bold", end="  ")
    out.print(levels, style="dim")
    out.print(
        f"rows a class: median {classes.median:g}, most {classes.largest:,}; the largest tenth hold "
        f"{classes.head_share:.0%} of the rows; {classes.tail:,} have fewer than 5, "
        f"{classes.singletons:,} just one"
    )
    widest = max(band.classes for band in classes.bands)
    for band in classes.bands:
        if not band.classes:
            continue
        most = "" if band.max_rows >= 10**12 else f"–{band.max_rows:,}"
        name = f"{band.min_rows:,}{most}" if band.min_rows != band.max_rows else f"{band.min_rows:,}"
        bar = "█" * round(30 * band.classes / widest) if widest else ""
        name += " row" if band.max_rows == 1 else " rows"
        out.print(f"  {name:<16}{bar:<31}{band.classes:>6,} classes {band.rows:>9,} rows")
    for name, size in classes.top[:5]:
        out.print(
            f"  {size:>7,}  {_printable(name)}",
            markup=False,
            no_wrap=True,
            overflow="ellipsis",
            soft_wrap=False,
        )


def _examples(finding: "Finding") -> list[str]:
    """A few rows that show a finding, a line each."""
    lines = []
    for group in finding.groups:
        labels = " | ".join(dict.fromkeys(example.label for example in group))
        lines.append(f"rows {', '.join(f'{e.row:,}' for e in group)}: {group[0].value[:40]} — {labels}")
    for example in finding.examples:
        text = f"{example.value} — {example.label}" if example.label else example.value
        lines.append(f"row {example.row:,}: {text}" if example.row else text)
    return [line for line in lines if line]


def _printable(text: str) -> str:
    """Sellers' text on a terminal: control characters (colours, cursor moves) are shown, not obeyed."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in text)
