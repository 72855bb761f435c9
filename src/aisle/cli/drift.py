"""`aisle drift`: are these products still like those the model was made for?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import AisleError

if TYPE_CHECKING:
    from aisle.evaluation.drift import Drift


def drift(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")],
    source: flags.Source,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Compare with these rows (default: what the run kept of those it was calibrated on)."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for drift.html and drift.json (default: drift/ in the run).")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything changed.")] = False,
    trust_code: console.TrustCode = False,
    device: console.Device = "auto",
    taxonomy: flags.TaxonomyFlag = None,
    column: flags.ColumnFlag = None,
    columns: flags.ColumnsFlag = None,
    image_root: flags.ImageRootFlag = None,
    max_expanded: flags.MaxExpandedFlag = None,
    delimiter: flags.DelimiterFlag = None,
    encoding: flags.EncodingFlag = None,
    date_format: flags.DateFormatFlag = None,
    quiet: console.Quiet = False,
    as_json: console.AsJson = False,
) -> None:
    """Say what changed since a model was calibrated, where, and whether its promise can still be trusted."""
    from aisle import workflow
    from aisle.cli.summary import tell
    from aisle.evaluation import drift as drifting
    from aisle.models.features import FeatureStore

    progress = console.progress(quiet or as_json)
    model = workflow.load(run, trust_code=trust_code, device=device)
    model = model.with_store(model.store or FeatureStore()) if hasattr(model, "store") else model
    given = {
        "taxonomy": taxonomy, "column": column, "columns": columns, "image_root": image_root,
        "delimiter": delimiter, "encoding": encoding, "date_format": date_format,
        "max_expanded": max_expanded, "like": model,
    }  # fmt: skip
    catalog = flags.open_catalog(source, **given)
    tell(catalog, progress, model)
    if reference is not None:
        old = flags.open_catalog(reference, **given)
        before, named = (
            drifting.profile(model, old.select(~drifting.trained_on(model, old)), progress),
            reference.name,
        )
    else:
        kept = drifting.reference_of(run)
        if not kept.is_file():
            raise AisleError(
                f"{run} kept no rows to compare with (it set none aside, or is a model alone): "
                "give --reference FILE"
            )
        before, named = drifting.Profile.load(kept), "the rows it was calibrated on"
    found = drifting.drift(model, catalog, before, named=named, progress=progress)
    home = out or (run if (run / "model").is_dir() else run.parent) / "drift"
    try:
        page = found.write(home)
    except OSError as error:
        raise AisleError(f"{home} cannot be written: {error.strerror or error}") from error
    if as_json:
        console.print_json(found.model_dump(mode="json"))
    else:
        summary(found)
        console.places(report=page)
    if strict and found.changed:
        raise typer.Exit(1)


def summary(found: "Drift") -> None:
    """What changed, on standard output."""
    from aisle.evaluation.numbers import percent

    names = {"holds": "can be trusted", "doubtful": "is doubtful", "broken": "is broken", "none": ""}
    promise = found.promise
    verdict = f"the promise {names[promise.verdict]}: {promise.why}" if promise.promised else promise.why
    console.out.print(
        f"{len(found.changed)} of {len(found.aspects)} aspects changed; {verdict}", markup=False
    )
    for aspect in found.changed:
        console.out.print(
            f"  {aspect.name}: {aspect.measure} {aspect.effect:.3f}, p {aspect.p:.4f}", markup=False
        )
        for moved in aspect.moved[:4]:
            shown = (f"{x:.2f}" if aspect.mean else percent(x) for x in (moved.before, moved.now))
            console.out.print(f"      {moved.name}: {' → '.join(shown)}", markup=False)
    console.out.print(
        f"accepted: {percent(promise.accepted)} of products, {percent(promise.accepted_before)} before",
        markup=False,
    )
