"""`aisle drift`: compares products with those that a model was calibrated on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.atomic_files import wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.loading import load_cached
from aisle.cli.options import AsJson, Device, LabelledCatalogOptions, Quiet, Run, Source, TrustCode
from aisle.errors import AisleError

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.evaluation.drift import Drift
    from aisle.evaluation.scores import OperatingCurve


@command("drift", "Compare new products with the calibration products.", section="Evaluation")
def drift(
    run: Run,
    source: Source,
    options: LabelledCatalogOptions,
    reference: Annotated[
        Path | None,
        typer.Option(help="Compare with these rows (default: the run's calibration rows)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for drift.html and drift.json (default: drift/ in the run).")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything changed.")] = False,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Report what changed since a model was calibrated, in which categories, and whether its guarantee
    still holds."""
    from aisle.cli.summary import print_catalog_summary
    from aisle.evaluation import drift as drifting

    progress = console.progress(quiet or as_json)
    model = load_cached(run, trust_code, device)
    catalog = options.read(source, like=model)
    print_catalog_summary(catalog, progress, model)
    if reference is not None:
        old = options.read(reference, like=model)
        old = old.select(~drifting.trained_on(model, old))
        before, named = drifting.profile(model, old, progress), reference.name
    else:
        kept = drifting.reference_of(run)
        if not kept.is_file():
            raise AisleError(
                f"{run} has no rows to compare with (it held none out, or is a model without a run): "
                "give --reference FILE"
            )
        before, named = drifting.Profile.load(kept), "the rows it was calibrated on"
    result = drifting.drift(model, catalog, before, named=named, progress=progress)
    folder = out or (run if (run / "model").is_dir() else run.parent) / "drift"
    with wrap_write_errors(folder):
        page = result.write(folder)
    if as_json:
        console.print_json(result.model_dump(mode="json"))
    else:
        print_drift(result)
        console.print_paths(report=page)
    if strict and result.changed:
        raise typer.Exit(1)


def print_drift(drift_: "Drift") -> None:
    """Print the changed aspects."""
    from aisle.cli.evaluate import ruled
    from aisle.evaluation.numbers import percent

    names = {"holds": "can be trusted", "doubtful": "is doubtful", "broken": "is broken", "none": ""}
    guarantee = drift_.guarantee
    verdict = (
        f"the guarantee {names[guarantee.verdict]}: {guarantee.why}"
        if guarantee.guaranteed
        else guarantee.why
    )
    console.out.print(
        f"{len(drift_.changed)} of {len(drift_.aspects)} aspects changed; {verdict}", markup=False
    )
    for aspect in drift_.changed:
        console.out.print(
            f"  {aspect.name}: {aspect.measure} {aspect.effect:.3f}, p {aspect.p:.4f}", markup=False
        )
        for shift in aspect.moved[:4]:
            values = (f"{x:.2f}" if aspect.mean else percent(x) for x in (shift.before, shift.now))
            console.out.print(f"      {shift.name}: {' → '.join(values)}", markup=False)
    for name, current, reference in (
        ("full paths", guarantee.accepted, guarantee.accepted_before),
        ("branches", guarantee.partial, guarantee.partial_before),
    ):
        console.out.print(
            f"{name}: {percent(current)} of products, {percent(reference)} before", markup=False
        )
    if guarantee.by_rules:
        console.out.print(ruled(guarantee.by_rules), markup=False)
    if drift_.operating_curve and drift_.operating_curve.points:
        console.out.print("by the file's own labels:", markup=False)
        console.out.print(measured_table(drift_.operating_curve))


def measured_table(curve: "OperatingCurve") -> "Table":
    """Coverage and precision of the decisions on labelled rows at each guaranteed precision."""
    from rich.table import Table

    from aisle.evaluation.numbers import percent
    from aisle.guarantee.curve_summary import exact

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("precision", "full path", "correct", "branch", "correct", "review"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in curve.points:
        mark = "▸ " if point.precision == curve.precision else ""
        cells = []
        for score in (point.measured_full, point.measured_branch):
            cells += [percent(score.coverage), percent(score.precision.value if score.precision else None)]
        review = percent(point.measured_review.coverage)
        table.add_row(mark + exact(point.precision), *cells, review)
    return table
