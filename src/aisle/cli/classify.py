"""`aisle classify`: classifies the products of files."""

from enum import StrEnum
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import (
    AsJson,
    CatalogOptions,
    CurvePrecision,
    Device,
    Quiet,
    RulesFile,
    Run,
    Sources,
    TrustCode,
)


class ShardFormat(StrEnum):
    """File format of an output folder's shards."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


Out = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        help="Table of predictions (.jsonl, .csv, .parquet), a folder for shards, or a copy of a shop "
        "export with its categories filled in (export.filled.csv); local or a URL (s3://bucket/predictions).",
    ),
]
Fill = Annotated[
    bool | None,
    typer.Option(
        "--fill/--no-fill",
        help="Write a copy of the file with its categories filled in, or a table of predictions "
        "(default: a copy where --out has the ending of a known platform's export, "
        "unless it is named predictions*).",
    ),
]
Every = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Fill in the best category of every product (default: only of those decided automatically).",
    ),
]
Form = Annotated[
    ShardFormat,
    typer.Option("--shard-format", metavar="jsonl|csv|parquet", help="Format of a folder's shards."),
]
ShardRows = Annotated[int, typer.Option(min=1, help="Maximum rows per shard.")]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache", help="Classify identical listings once (in a folder: once per shard)."
    ),
]
PricePerHour = Annotated[
    float | None,
    typer.Option(min=0, help="Cost of this machine per hour; the cost per million products is printed."),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Run on a Ray cluster: local, auto, ray://host:10001 or host:6379. Needs a folder as --out.",
    ),
]


@command("classify", "Classify the products of files.", section="Classification", resumes=True)
def classify(
    run: Run,
    sources: Sources,
    options: CatalogOptions,
    out: Out = "predictions.jsonl",
    fill: Fill = None,
    every: Every = False,
    form: Form = ShardFormat.jsonl,
    shard_rows: ShardRows = 50_000,
    cache: Cache = True,
    price_per_hour: PricePerHour = None,
    ray: Ray = None,
    precision: CurvePrecision = None,
    rules: RulesFile = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Classify products: one row in, one row out, in order.

    The table of a .csv opens in a spreadsheet: title, decision, one column per level, confidence, reason. A
    filled copy keeps every other cell, the order of columns, encoding, delimiter and line ends; products
    that are left for review keep the category they have.

    With a folder as --out, memory stays flat for files of any size, and an interrupted run continues when
    the same command is given again.
    """
    from aisle import workflow
    from aisle.cli import classify_io
    from aisle.cli.curve import print_instead
    from aisle.guarantee import summarize_curve
    from aisle.guarantee.curve_summary import exact
    from aisle.inference.loading import prefer_exported

    target, is_folder = classify_io.output_path(out, fill, every, ray)
    reader = classify_io.ProductReader.of(sources, options)
    filling = None if is_folder else classify_io.FillSettings.check(fill, every, reader.files, target)
    progress = console.progress(quiet or as_json, price_per_hour)
    opened = prefer_exported(run, device)
    if opened != run:
        console.say(f"using the exported model {opened} (the same model, without torch)", quiet or as_json)
    model = workflow.load(opened, trust_code=trust_code, device=device, precision=precision)
    model = classify_io.with_rules(model, rules)
    curve = summarize_curve(model.policy)
    if precision is not None and precision != curve.precision:
        console.say(f"precision {exact(curve.precision)}: the next point of the curve", quiet or as_json)
    reader = reader._replace(like=model)
    if filling is None:
        cluster = classify_io.open_cluster(ray, opened, trust_code, device, precision, model.rules)
        shards = classify_io.ShardSettings(form, shard_rows, cache, cluster)
        summary = classify_io.into_folder(model, reader, target, shards, progress)
    else:
        summary = classify_io.into_file(model, reader, target, cache, progress, filling)
    if as_json:
        console.print_json(summary.tally.to_dict(model.model_id, price_per_hour) | summary.to_dict())
        return
    summary.tally.print(price_per_hour)
    summary.print()
    if not model.policy.decides(model.taxonomy):
        console.say(f"every product is left for review: {curve.advice or 'no category may be decided'}")
        print_instead(curve, run, *sources)
    console.print_paths(**summary.paths)
