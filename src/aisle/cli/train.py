"""`aisle train`: trains a model on a catalog."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.interrupts import continue_with, same_command
from aisle.cli.options import AsJson, Device, LabelledCatalogOptions, Quiet, RecipeOptions, Source, TrustCode
from aisle.cli.summary import print_catalog_summary
from aisle.errors import AisleError


@command("train", "Train a model on a catalog.", section="Training", resumes=True)
def train(
    source: Source,
    options: LabelledCatalogOptions,
    changes: RecipeOptions,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A shipped recipe (see `aisle recipes`) or a .toml file (default: fast; with --resume or "
            "--init-from, the recipe of that run)."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder (default: the next free runs/RECIPE-N).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run in --out.")] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(
            "--init-from", metavar="RUN", help="Start from this run's model, with new rows and categories."
        ),
    ] = None,
    device: Device = "auto",
    precision: Annotated[
        str | None,
        typer.Option(
            help="Numeric precision of network training: fp32, bf16 or fp16 (default: bf16 on GPUs of "
            "compute capability 8.0 and above, else fp32)."
        ),
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(
            help="Experiment trackers, in addition to metrics.csv: tensorboard, mlflow, wandb "
            "(comma-separated), or none (default: tensorboard, where it is installed)."
        ),
    ] = None,
    baseline: Annotated[
        bool, typer.Option(help="Compare with a linear SVM trained on the same rows.")
    ] = True,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on a catalog; evaluate it on the `test` rows where there is a `split` column."""
    from aisle import workflow
    from aisle.cli.curve import print_curve
    from aisle.cli.evaluate import print_evaluation
    from aisle.cli.run_source import write_run_source
    from aisle.data.pipes import is_pipe
    from aisle.guarantee import summarize_curve
    from aisle.training.run import Run

    if resume and out is None:
        raise AisleError("--resume continues the run in --out: add --out RUN")
    prints = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts, the first
    progress = console.progress(quiet or as_json or not prints)
    # Before a large file is read.
    changed = [*changes.all(), *([f"precision={precision}"] if precision is not None else [])]
    resolved = workflow.resolve(recipe, changed, resumed=out if resume else None, init_from=init_from)
    folder = out or next_folder(Path("runs"), resolved.name if recipe is None else Path(recipe).stem)
    Run(folder, ()).check(resume)
    workflow.training_device(resolved, device)
    resumed = ("--out", str(folder), "--resume")
    continue_with(lambda: same_command(*(resumed if _begun(folder) else ())))
    catalog = options.read(source, like=_format(out if resume else None, init_from))
    print_catalog_summary(catalog, progress)
    model = workflow.train(
        catalog,
        resolved,
        out=folder,
        resume=resume,
        init_from=init_from,
        device=device,
        track=_trackers(track),
        trust_code=trust_code,
        progress=progress,
    )
    if not prints:
        return
    write_run_source(folder, source, options)
    model, report = workflow.report(model, catalog, folder, baseline=baseline, progress=progress)
    if as_json:
        evaluation = report.to_dict() if report is not None else None
        curve = summarize_curve(model.policy).to_dict()
        result = {
            "run": str(folder),
            "model_id": model.model_id,
            "evaluation": evaluation,
            "operating_curve": curve,
        }
        console.print_json(result)
        return
    if report is not None:
        print_evaluation(report)
    print_curve(model.policy, folder, "NEW.csv" if is_pipe(source) else source)
    page = folder / "report" / "report.html"
    console.print_paths(
        model=folder / "model",
        report=page if report is not None else None,
        next=_next(folder, source, options, trust_code),
    )


def _trackers(text: str | None) -> list[str] | None:
    """`tensorboard,mlflow` -> their names; `none` -> an empty list."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip() != "none"]


def _begun(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _format(resumed: Path | None, init_from: Path | None) -> Any:
    """The catalog format of the run that is resumed or started from."""
    from aisle.data.catalog_format import CatalogFormat
    from aisle.inference.folder import find

    if resumed is not None:
        kept = CatalogFormat.load(resumed)
        return kept and kept.as_given()
    return None if init_from is None or not init_from.exists() else CatalogFormat.load(find(init_from))


def _next(folder: Path, source: Path, options: LabelledCatalogOptions, trust_code: bool) -> str:
    """The command that classifies the training rows, to be pasted and changed."""
    from aisle.data.pipes import is_pipe

    words: list[object] = ["classify", folder, "NEW.csv" if is_pipe(source) else source]
    words += ["--image-root", options.image_root] if options.image_root is not None else []
    words += [
        word
        for name, file in options.described().vectors.items()
        for word in ("-c", f"vectors={name}={file}")
    ]
    words += ["--trust-code"] if trust_code else []
    return console.command(*words, "--out", "predictions.csv")


def next_folder(parent: Path, name: str) -> Path:
    """`runs/fast-1`, `runs/fast-2`, …: the first that does not exist."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"
