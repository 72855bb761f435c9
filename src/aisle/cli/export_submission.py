"""`aisle export-submission`: predictions in the form that a contest asks for."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.errors import CatalogError


def export_submission(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")],
    source: Annotated[
        str, typer.Argument(help="The rows to answer: kakao:FOLDER:dev, rakuten:FOLDER:phase1, …")
    ],
    out: Annotated[Path, typer.Option(help="Where the submission goes (.tsv or .csv, as the contest says).")],
    trust_code: console.TrustCode = False,
    quiet: console.Quiet = False,
    as_json: console.AsJson = False,
) -> None:
    """Answer a contest's rows, one line each, in order, with the contest's own ids."""
    from aisle import workflow
    from aisle.cli.summary import tell
    from aisle.data import benchmark_datasets

    named = benchmark_datasets.parse_contest(source)
    if named is None:
        known = ", ".join(f"{name}:FOLDER:PHASE" for name in benchmark_datasets.CONTESTS)
        raise CatalogError(f"{source!r} names no contest; write {known}")
    if not out.absolute().parent.is_dir():
        raise CatalogError(f"{out}: folder {out.absolute().parent} does not exist")
    progress = console.progress(quiet or as_json)
    model = workflow.load(run, trust_code=trust_code)
    catalog = benchmark_datasets.open_contest(named, progress)
    tell(catalog, progress, model)
    with progress("classifying", len(catalog)) as advance:
        answers = model.predict_stream(catalog, advance)
        rows = benchmark_datasets.write_submission(named.contest, catalog, answers, out)
    if as_json:
        console.print_json({"rows": rows, "submission": str(out), "model_id": model.model_id})
        return
    console.out.print(f"{rows:,} rows")
    console.places(submission=out)
