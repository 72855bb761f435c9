"""`aisle export-submission`: writes predictions in a benchmark's submission format."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.atomic_files import check_parent_folder
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, Quiet, Run, TrustCode
from aisle.errors import CatalogError


@command(
    "export-submission", "Write predictions in a benchmark's submission format.", section="Classification"
)
def export_submission(
    run: Run,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="The rows to classify: kakao:FOLDER:dev, rakuten:FOLDER:phase1, …"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output file (.tsv or .csv, as the benchmark requires).")],
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Classify the rows of a benchmark data set: one line each, in order, with the benchmark's own ids."""
    from aisle import workflow
    from aisle.cli.summary import print_catalog_summary
    from aisle.data import benchmark_datasets

    benchmark = benchmark_datasets.parse_benchmark(source)
    if benchmark is None:
        known = ", ".join(f"{name}:FOLDER:PHASE" for name in benchmark_datasets.BENCHMARKS)
        raise CatalogError(f"{source!r} is not a benchmark data set; write {known}")
    check_parent_folder(out, CatalogError)
    progress = console.progress(quiet or as_json)
    model = workflow.load(run, trust_code=trust_code)
    catalog = benchmark_datasets.open_benchmark(benchmark, progress)
    print_catalog_summary(catalog, progress, model)
    with progress("classifying", len(catalog)) as advance:
        predictions = model.predict_stream(catalog, advance)
        rows = benchmark_datasets.write_submission(benchmark.name, catalog, predictions, out)
    if as_json:
        console.print_json({"rows": rows, "submission": str(out), "model_id": model.model_id})
        return
    console.out.print(f"{rows:,} rows")
    console.print_paths(submission=out)
