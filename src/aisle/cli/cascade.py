"""`aisle cascade`: combines cheap models with an accurate one, in stages."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.info import print_cascade
from aisle.cli.options import Alpha, AsJson, LabelledCatalogOptions, Precision, Quiet, Source, TrustCode


@command("cascade", "Combine cheap models with an accurate one, in stages.", section="Training")
def cascade(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Two or more models, cheapest first, such as a run of `fast` and one of `balanced`. Each "
            "classifies what the models before it are not confident about.",
        ),
    ],
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder of the cascade; every command accepts it as a model.")],
    options: LabelledCatalogOptions,
    max_loss: Annotated[
        float, typer.Option(help="Accuracy it may lose at most, in points (upper end of a paired interval).")
    ] = 0.5,
    precision: Precision = 0.95,
    alpha: Alpha = 0.05,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Let cheap models classify the products they are confident about. The confidence each needs is chosen on
    labelled rows that no model was trained on."""
    from aisle import workflow
    from aisle.guarantee import Settings
    from aisle.inference.fit_cascade import fit_cascade
    from aisle.inference.folder import check_vacant
    from aisle.inference.known_columns import check_columns

    if len(models) < 2:
        raise typer.BadParameter(
            "a cascade needs two or more models, followed by a file of labelled products"
        )
    check_vacant(out)
    progress = console.progress(quiet or as_json)
    stages = [workflow.load(run, trust_code=trust_code).with_store(None) for run in models]
    catalog = options.read(source, like=stages[-1])
    for stage in stages:
        check_columns(stage, catalog)
    names = [run.resolve().name for run in models]
    names = names if len({*names}) == len(names) else [str(run) for run in models]
    rows = workflow.rows_to_choose_on(catalog)
    saved = fit_cascade(stages, names, rows, Settings(precision, alpha), max_loss, progress).save(out)
    if as_json:
        console.print_json({"model": str(out), "model_id": saved.model_id, **saved.results["cascade"]})
        return
    print_cascade(saved, out)
    next_ = console.command("classify", out, "NEW.csv", "--out", "predictions.csv")
    console.print_paths(cascade=out, next=next_)
