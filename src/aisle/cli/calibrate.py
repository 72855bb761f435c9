"""`aisle calibrate`: fits the guarantee of a model on labelled rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.curve import print_curve
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
    out: Annotated[
        Path | None, typer.Option(help="Folder of the calibrated model (default: the model is overwritten).")
    ] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fit the guarantee of a model on labelled rows of your own. Rows it was trained on are left out."""
    from aisle import workflow
    from aisle.evaluation.drift import save_reference
    from aisle.guarantee import Settings, summarize_curve
    from aisle.inference.known_columns import check_columns
    from aisle.inference.recalibrate import recalibrate

    levels = {int(k): v for k, v in parse_numbers("--level", level, whole_keys=True).items()}
    costs, branches = parse_numbers("--cost", cost), parse_numbers("--branch", branch)
    settings = Settings(precision, alpha, tuple(never or ()), costs, branches, levels)
    model = workflow.load(run, trust_code=trust_code)
    settings.check(model.taxonomy)
    catalog = options.read(source, like=model)
    check_columns(model, catalog)
    recalibrated = recalibrate(model, catalog, settings)
    folder = out or (run / "model" if (run / "model").is_dir() else run)
    saved = recalibrated.predictor.save(folder)
    save_reference(saved, catalog, folder.parent)  # what `aisle drift` compares with
    if as_json:
        console.print_json(
            {
                "model": str(folder),
                "model_id": saved.model_id,
                "rows": {k: v for k, v in recalibrated._asdict().items() if k != "predictor"},
                "settings": settings.to_dict(),
                "guarantees": [g._asdict() for g in recalibrated.predictor.policy.guarantees],
                "operating_curve": summarize_curve(recalibrated.predictor.policy).to_dict(),
            }
        )
        return
    print_calibration(recalibrated, out or run, quiet)
    console.out.print(f"model   {folder}", markup=False)


def parse_numbers(flag: str, values: list[str] | None, whole_keys: bool = False) -> dict[str, float]:
    """`["A > b=5"]` -> `{"A > b": 5.0}`.

    Raises:
        AisleError: A text is not NAME=NUMBER.
    """
    numbers = {}
    for text in values or []:
        name, _, value = text.rpartition("=")
        try:
            numbers[name if not whole_keys else str(int(name))] = float(value)
        except ValueError:
            name, such = ("LEVEL", "1=0.9") if whole_keys else ("ID", "'Shoes=0.9'")
            raise AisleError(f"{flag} {text!r}: write {name}=NUMBER, such as {flag} {such}") from None
        if not name:
            raise AisleError(f"{flag} {text!r}: write ID=NUMBER; the category's id is missing")
    return numbers


def print_calibration(recalibrated: "Recalibrated", run: Path, quiet: bool = False) -> None:
    """Print how the rows were used, the guarantees, and the alternatives where one does not hold.

    Args:
        recalibrated: The calibrated model.
        run: Its folder, for the commands.
        quiet: Leave out what the rows were used for.
    """
    policy = recalibrated.predictor.policy
    console.say(
        f"calibrated on {recalibrated.calibration:,} rows, thresholds tested on {recalibrated.thresholds:,}",
        quiet,
    )
    if recalibrated.seen:
        console.say(
            f"left out {recalibrated.seen:,} rows that the model was trained on, or near-duplicates", quiet
        )
    if recalibrated.ruled:
        console.say(
            f"left out {recalibrated.ruled:,} rows on which rules act: the guarantee counts the others", quiet
        )
    if recalibrated.unlabelled:
        console.say(f"left out {recalibrated.unlabelled:,} rows without a usable category", quiet)
    rows = recalibrated.calibration + recalibrated.thresholds
    scale = rows / max(recalibrated.thresholds, 1)  # labelled rows for each that thresholds are tested on
    console.out.print(guarantee_table(policy, recalibrated.thresholds, scale))
    if policy.point is not None and policy.point.decided:  # else the curve's advice says so
        for guarantee in policy.guarantees:
            if not guarantee.branch and not guarantee.holds:
                console.out.print(_instead(policy, guarantee, rows, scale), markup=False)
    print_curve(policy, run)


def guarantee_table(policy: "Policy", rows: int, scale: float = 1.0) -> "Table":
    """The guarantees as a table: each decision type, then each top category.

    Args:
        policy: The fitted policy.
        rows: Number of rows that thresholds were tested on.
        scale: Labelled rows needed for each row that thresholds are tested on.
    """
    from rich.table import Table

    from aisle.guarantee.curve_summary import about

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for name in ("decided", "", "wrong", "guaranteed", "needs rows"):
        table.add_column(name, justify="right", no_wrap=True)
    for guarantee in policy.guarantees:
        wrong = f"{guarantee.errors / guarantee.rows:.1%}" if guarantee.rows else "–"
        precision = f"{guarantee.precision:.1%}" if guarantee.holds else "no"
        needed = (
            ""
            if guarantee.holds
            else "–"
            if guarantee.needed is None
            else f"~{about(guarantee.needed * scale):,}"
        )
        share = "" if guarantee.branch else f"{guarantee.rows / max(rows, 1):.0%}"
        style = "" if guarantee.branch else "bold"
        several = len({p.precision for p in policy.guarantees if p.verdict == guarantee.verdict}) > 1
        table.add_row(
            _name(guarantee, several), f"{guarantee.rows:,}", share, wrong, precision, needed, style=style
        )
    return table


def _name(guarantee: "Guarantee", several: bool = False) -> str:
    """Its name in the table. several: decisions of this type are requested at more than one precision."""
    if guarantee.branch:
        return f"  {guarantee.branch}"
    kind = "full paths" if guarantee.verdict == "accept" else "partial paths"
    return f"{kind} at {guarantee.precision:.1%}" if several else kind


def _instead(policy: "Policy", guarantee: "Guarantee", rows: int, scale: float) -> str:
    """For a decision type without a guarantee: rows that it needs, and a precision that can be guaranteed."""
    from aisle.guarantee.curve_summary import about, exact, share

    full = guarantee.verdict == "accept"
    statement = f"At {exact(guarantee.precision)}, no {'full path' if full else 'branch'} can be guaranteed"
    if guarantee.needed is not None:
        statement = f"{statement} with {rows:,} rows (about {about(guarantee.needed * scale):,} would do)"
    for point in policy.curve:
        decided = point.full if full else sum(point.branch)
        if point.precision < guarantee.precision and decided:
            alternative = f"{share(decided)} of products get one: --precision {point.precision:g}"
            return f"{statement}; at {exact(point.precision)}, {alternative}"
    return f"{statement}, nor at a lower precision."
