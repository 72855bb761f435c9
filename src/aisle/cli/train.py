"""`aisle train` and `aisle recipes`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.cli.summary import tell
from aisle.errors import AisleError


def train(
    source: flags.Source,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A shipped recipe (see `aisle recipes`) or a .toml file (default: fast; with --resume "
            "or --from the run's own)."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder (default: the next free runs/RECIPE-N).")
    ] = None,
    changes: console.Set = None,
    text_encoder: console.TextEncoder = None,
    image_encoder: console.ImageEncoder = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run in --out.")] = False,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Go on from this run, with new rows and new categories."),
    ] = None,
    device: console.Device = "auto",
    precision: Annotated[
        str | None,
        typer.Option(
            help="What the network learns in: fp32, bf16 or fp16 (default: bf16 on GPUs of compute "
            "capability 8.0 and above, else fp32)."
        ),
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(
            help="Where metrics go beside metrics.csv: tensorboard, mlflow, wandb, several with commas, "
            "or none (default: tensorboard, where it is installed)."
        ),
    ] = None,
    baseline: Annotated[
        bool, typer.Option(help="Judge a linear SVM, fitted on the same rows, beside it.")
    ] = True,
    trust_code: console.TrustCode = False,
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
    """Learn a shop's tree from its catalogue; report on its `test` rows where it has a `split` column."""
    from aisle.cli.interrupts import continue_with, same_command

    continue_with(same_command)  # also while libraries are imported
    from aisle import workflow
    from aisle.cli.evaluate import summary
    from aisle.cli.export import remember
    from aisle.training.recipe import encoder_changes
    from aisle.training.run import Run

    if resume and out is None:
        raise AisleError("--resume continues the run that --out names: add --out RUN")
    speaks = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts, the first
    progress = console.progress(quiet or as_json or not speaks)
    # Before a large file is read for nothing.
    changes = [
        *(changes or ()),
        *([f"precision={precision}"] if precision is not None else []),
        *encoder_changes(text_encoder, image_encoder),
    ]
    resolved = workflow.resolve(recipe, changes, resumed=out if resume else None, start=start)
    folder = out or next_folder(Path("runs"), resolved.name if recipe is None else Path(recipe).stem)
    Run(folder, ()).check(resume)
    if resolved.family == "network":
        from aisle.models.devices import device_of, precision_of

        precision_of(resolved.precision, device_of(device))
    resumed = ("--out", str(folder), "--resume")
    continue_with(lambda: same_command(*(resumed if _begun(folder) else ())))
    catalog = flags.open_catalog(
        source,
        taxonomy=taxonomy,
        column=column,
        columns=columns,
        image_root=image_root,
        max_expanded=max_expanded,
        delimiter=delimiter,
        encoding=encoding,
        date_format=date_format,
        like=_written(out if resume else None, start),
    )
    tell(catalog, progress)
    model = workflow.train(
        catalog,
        resolved,
        out=folder,
        resume=resume,
        start=start,
        device=device,
        track=None
        if track is None
        else [name.strip() for name in track.split(",") if name.strip() != "none"],
        trust_code=trust_code,
        progress=progress,
    )
    if not speaks:
        return
    vectors = flags.described(column, columns).vectors
    remember(folder, source, taxonomy, image_root, vectors)
    model, report = workflow.report(model, catalog, folder, baseline=baseline, progress=progress)
    if as_json:
        found = report.to_dict() if report is not None else None
        console.print_json({"run": str(folder), "model_id": model.model_id, "evaluation": found})
        return
    if report is not None:
        summary(report)
    page = folder / "report" / "report.html"
    console.places(
        model=folder / "model",
        report=page if report is not None else None,
        next=_next(folder, source, image_root, vectors, trust_code),
    )


def _begun(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _written(resumed: Path | None, start: Path | None) -> Any:
    """How the catalog of the run that is continued, or started from, is written."""
    from aisle.data.catalog_format import CatalogFormat
    from aisle.inference.folder import find

    if resumed is not None:
        kept = CatalogFormat.load(resumed)
        return kept and kept.as_given()
    return None if start is None or not start.exists() else CatalogFormat.load(find(start))


def _next(
    folder: Path, source: Path, image_root: Path | None, vectors: dict[str, str], trust_code: bool
) -> str:
    """The command that answers the rows it learned from, to be pasted, and then changed."""
    from aisle.data.pipes import is_pipe

    words: list[object] = ["classify", folder, "NEW.csv" if is_pipe(source) else source]
    words += ["--image-root", image_root] if image_root is not None else []
    words += [word for name, file in vectors.items() for word in ("-c", f"vectors={name}={file}")]
    words += ["--trust-code"] if trust_code else []
    return console.command(*words, "--out", "predictions.csv")


def next_folder(home: Path, name: str) -> Path:
    """`runs/fast-1`, `runs/fast-2`, …: the first that is free."""
    number = 1
    while (home / f"{name}-{number}").exists():
        number += 1
    return home / f"{name}-{number}"


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe's TOML, to copy and change.")] = None,
    as_json: console.AsJson = False,
) -> None:
    """List the shipped recipes, or print one."""
    from aisle.training.recipe import load_recipe, shipped

    if name is not None:
        recipe = load_recipe(name)
        if as_json:
            console.print_json(recipe.model_dump(exclude_none=True))
        else:
            typer.echo(shipped().get(name) or Path(name).read_text(), nl=False)
        return
    found = {known: load_recipe(known).description for known in shipped()}
    if as_json:
        console.print_json(found)
        return
    width = max(map(len, found))
    for known, description in found.items():
        console.out.print(f"{known:<{width}}  {description}", markup=False)
    console.say("copy one and change it: aisle recipes fast > mine.toml; aisle train FILE --recipe mine.toml")
