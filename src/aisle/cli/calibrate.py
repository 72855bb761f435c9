"""`aisle calibrate`: fits the guarantee of a model on labelled rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import Alpha, AsJson, LabelledCatalogOptions, Precision, Quiet, Run, Source, TrustCode
from aisle.errors import AisleError

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.guarantee import Guarantee, Policy
    from aisle.inference.recalibrate import Recalibrated

Never = Annotated[
    list[str] | None,
    typer.Option("--never", metavar="ID", help="Never decide in this category or below it. Repeatable."),
]
Cost = Annotated[
    list[str] | None,
    typer.Option(
        "--cost", metavar="ID=COST", help="Cost of a mistake in this category (default: 1). Repeatable."
    ),
]
Branch = Annotated[
    list[str] | None,
    typer.Option("--branch", metavar="ID=PRECISION", help="Another precision for a category. Repeatable."),
]
Level = Annotated[
    list[str] | None,
    typer.Option(
        "--level",
        metavar="LEVEL=PRECISION",
        help="Another precision for paths that end at this level. Repeatable.",
    ),
]


@command("calibrate", "Fit the guarantee of a model on your own rows.", section="Training")
def calibrate(
    run: Run,
    source: Source,
    options: LabelledCatalogOptions,
    precision: Precision = 0.95,
    alpha: Alpha = 0.05,
    never: Never = None,
    cost: Cost = None,
    branch: Branch = None,
    level: Level = None,
    out: Annotated[Path | None, typer.Option(help="Write the model here (default: in place).")] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fit the guarantee of a model on labelled rows of your own. Rows it was trained on are left out."""
    from aisle import workflow
    from aisle.evaluation.drift import keep
    from aisle.guarantee import Settings
    from aisle.inference.known_columns import check_columns
    from aisle.inference.recalibrate import recalibrate

    levels = {int(k): v for k, v in parse_numbers("--level", level, whole_keys=True).items()}
    costs, branches = parse_numbers("--cost", cost), parse_numbers("--branch", branch)
    settings = Settings(precision, alpha, tuple(never or ()), costs, branches, levels)
    model = workflow.load(run, trust_code=trust_code)
    settings.check(model.taxonomy)
    catalog = options.read(source, like=model)
    check_columns(model, catalog)
    found = recalibrate(model, catalog, settings)
    folder = out or (run / "model" if (run / "model").is_dir() else run)
    saved = found.predictor.save(folder)
    keep(saved, catalog, folder.parent)  # what `aisle drift` compares with
    if as_json:
        console.print_json(
            {
                "model": str(folder),
                "model_id": saved.model_id,
                "rows": {k: v for k, v in found._asdict().items() if k != "predictor"},
                "settings": settings.to_dict(),
                "guarantees": [g._asdict() for g in found.predictor.policy.guarantees],
                "curve": [point.to_dict() for point in found.predictor.policy.curve],
            }
        )
        return
    print_calibration(found, quiet)
    console.out.print(f"model   {folder}", markup=False)


def parse_numbers(flag: str, given: list[str] | None, whole_keys: bool = False) -> dict[str, float]:
    """`["A > b=5"]` -> `{"A > b": 5.0}`.

    Raises:
        AisleError: A text is not NAME=NUMBER.
    """
    found = {}
    for text in given or []:
        name, _, value = text.rpartition("=")
        try:
            found[name if not whole_keys else str(int(name))] = float(value)
        except ValueError:
            name, such = ("LEVEL", "1=0.9") if whole_keys else ("ID", "'Shoes=0.9'")
            raise AisleError(f"{flag} {text!r}: write {name}=NUMBER, such as {flag} {such}") from None
        if not name:
            raise AisleError(f"{flag} {text!r}: write ID=NUMBER; the category's id is missing")
    return found


def print_calibration(found: "Recalibrated", quiet: bool = False) -> None:
    """Print what the rows were used for, and what is guaranteed now."""
    policy = found.predictor.policy
    console.say(f"calibrated on {found.calibration:,} rows, thresholds tested on {found.thresholds:,}", quiet)
    if found.seen:
        console.say(f"left out {found.seen:,} rows that the model was trained on, or near-duplicates", quiet)
    if found.unlabelled:
        console.say(f"left out {found.unlabelled:,} rows without a usable category", quiet)
    rows = found.calibration + found.thresholds
    whole = rows / max(found.thresholds, 1)  # rows in a file, for each that thresholds are tested on
    console.out.print(guarantee_table(policy, found.thresholds, whole))
    for guarantee in policy.guarantees:
        if not guarantee.branch and not guarantee.holds:
            console.out.print(_missing(guarantee, rows, whole), markup=False)
    print_curve(policy)


def guarantee_table(policy: "Policy", rows: int, whole: float = 1.0) -> "Table":
    """A table of what is guaranteed: each decision type as a whole, then each top category.

    Args:
        policy: The fitted policy.
        rows: Number of rows that thresholds were tested on.
        whole: Labelled rows needed for each row that thresholds are tested on.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for name in ("decided", "", "wrong", "guaranteed", "needs rows"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in policy.guarantees:
        wrong = f"{one.errors / one.rows:.1%}" if one.rows else "–"
        shown = f"{one.precision:.1%}" if one.holds else "no"
        needed = "" if one.holds else "–" if one.needed is None else f"~{_about(one.needed * whole):,}"
        share = "" if one.branch else f"{one.rows / max(rows, 1):.0%}"
        style = "" if one.branch else "bold"
        several = len({p.precision for p in policy.guarantees if p.verdict == one.verdict}) > 1
        table.add_row(_name(one, several), f"{one.rows:,}", share, wrong, shown, needed, style=style)
    return table


def print_curve(policy: "Policy") -> None:
    """Print the operating curve, and where nothing is guaranteed, what precision to ask for."""
    if not policy.curve:
        return
    console.out.print(curve_table(policy))
    if policy.point is not None and not policy.point.decided:
        console.say(policy.advice)


def curve_table(policy: "Policy") -> "Table":
    """What is decided automatically at each precision: full paths, branches by level, the rest for review."""
    from rich.table import Table

    levels = max((len(point.branch) for point in policy.curve), default=0)
    shown = [k for k in range(levels) if any(point.branch[k] >= 0.0005 for point in policy.curve)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("precision", "full path", *(f"level {k + 1}" for k in shown), "automatic", "review"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in policy.curve:
        parts = (point.full, *(point.branch[k] for k in shown), point.decided, point.review)
        style = "bold" if point is policy.point else ""
        table.add_row(f"{point.precision:.0%}", *(f"{share:.1%}" for share in parts), style=style)
    return table


def _name(guarantee: "Guarantee", several: bool = False) -> str:
    """Its name in the table. several: decisions of this type are requested at more than one precision."""
    if guarantee.branch:
        return f"  {guarantee.branch}"
    kind = "full paths" if guarantee.verdict == "accept" else "partial paths"
    return f"{kind} at {guarantee.precision:.1%}" if several else kind


def _missing(guarantee: "Guarantee", rows: int, whole: float) -> str:
    wanted = f"A precision of {guarantee.precision:.1%} for {_name(guarantee)} cannot be guaranteed"
    if guarantee.needed is None:
        return f"{wanted}: the model reaches it at no confidence. Ask for a lower precision."
    return (
        f"{wanted} yet: it needs about {_about(guarantee.needed * whole):,} labelled rows that were not used "
        f"for training; this file has {rows:,}."
    )


def _about(rows: float) -> int:
    """Rounded up to two digits."""
    from math import ceil, floor, log10

    step = 10 ** max(floor(log10(max(rows, 1))) - 1, 0)
    return ceil(rows / step) * step
