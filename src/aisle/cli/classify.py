"""`aisle classify` and `aisle info`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.cli.classify_io import Reading

Run = Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Allow parts named my_file:Part.")]
Sources = Annotated[
    list[Path],
    typer.Argument(
        parser=flags.place,
        metavar="FILES...",
        help="CSV, TSV, JSONL or Parquet (.gz, .bz2, .xz, .zst), folders of them or of class folders, - for "
        "standard input, addresses "
        "(s3://bucket/day/*.parquet); or a contest's: kakao:FOLDER, rakuten:FOLDER[:PHASE].",
    ),
]


class Form(StrEnum):
    """How a folder's shards are written."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def classify(
    run: Run,
    sources: Sources,
    out: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="Where predictions go: a file (.jsonl, .csv, .parquet), or a folder: in shards, which the "
            "same command resumes. Here or elsewhere (s3://bucket/answers).",
        ),
    ] = "predictions.jsonl",
    form: Annotated[
        Form, typer.Option("--format", metavar="jsonl|csv|parquet", help="Of a folder's shards.")
    ] = Form.jsonl,
    shard_rows: Annotated[int, typer.Option(min=1, help="Rows of a folder's shard, at most.")] = 50_000,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache", help="Answer listings that say the same once (in a folder: once a shard)."
        ),
    ] = True,
    price_per_hour: Annotated[
        float | None,
        typer.Option(min=0, help="What this machine costs an hour, to tell what a million products cost."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Answer on a Ray cluster: auto, ray://host:10001 or host:6379; without an address, on one "
            "of this machine. Into a folder only.",
        ),
    ] = None,
    trust_code: TrustCode = False,
    device: console.Device = "auto",
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
    """Say where each row belongs: each row in, one row out, in order. Into a folder, files of any length
    in little memory; what was interrupted goes on when the same command is given again."""
    from aisle.cli.interrupts import continue_with, same_command

    continue_with(same_command)  # also while libraries are imported
    from aisle import workflow
    from aisle.cli import classify_io
    from aisle.data.paths import is_remote, to_path
    from aisle.inference.loading import quickest
    from aisle.inference.prediction_files import OutputError, check_ending

    place = to_path(out)
    into_folder = out.endswith("/") or not place.suffix or (not is_remote(place) and place.is_dir())
    if not into_folder:
        check_ending(place)
        if ray is not None:
            raise OutputError(f"--ray writes shards: name a folder, such as --out {place.stem}/")
    progress = console.progress(quiet or as_json, price_per_hour)
    opened = quickest(run, device)
    if opened != run:
        console.say(f"answering by {opened}: the same model, without torch", quiet or as_json)
    model = workflow.load(opened, trust_code=trust_code, device=device)
    given = (column, columns, image_root, max_expanded, delimiter, encoding, date_format)
    reading = Reading(sources, *given, like=model)
    if into_folder:
        cluster = classify_io.cluster(ray, opened, trust_code, device)
        how = classify_io.How(form, shard_rows, cache, cluster)
        tally, places = classify_io.into_folder(model, reading, place, how, progress)
    else:
        tally, places = classify_io.into_file(model, reading, place, cache, progress)
    if as_json:
        console.print_json(tally.to_dict(model.model_id, price_per_hour) | places)
        return
    tally.show(price_per_hour)
    if not model.policy.decides(model.taxonomy):
        console.say("this model promises nothing, so a person has to look at everything: see `aisle info`")
    console.places(**places)


def info(
    run: Run,
    tree: Annotated[
        bool, typer.Option("--tree", help="Print the whole tree, with training products.")
    ] = False,
    trust_code: TrustCode = False,
    as_json: console.AsJson = False,
) -> None:
    """What a saved model is: recipe, tree, what was measured, what it promises."""
    from aisle import workflow
    from aisle.inference.card import model_card
    from aisle.inference.training_counts import training_counts
    from aisle.taxonomy import format_path

    model = workflow.load(run, trust_code=trust_code)
    if not hasattr(model, "spec"):  # exported, or made of several
        _show_made(model, as_json)
        return
    taxonomy = model.taxonomy
    if as_json:
        nodes = [
            {"id": n.id, "path": format_path(n.path), "assignable": n.assignable} for n in taxonomy.nodes
        ]
        spec = model.spec.model_dump(mode="json", exclude_none=True)
        found = {"model_id": model.model_id, "network": spec, "results": dict(model.results), "tree": nodes}
        console.print_json(found)
        return
    if not tree:
        console.print_markdown(model_card(model, model.model_id))
        return
    for count, node in zip(training_counts(model).tolist(), taxonomy.nodes, strict=True):
        name = f"{'  ' * (len(node.path) - 1)}{node.name}"
        console.out.print(f"{count:>8,}  {name}  [{node.id}]", markup=False)


def _show_made(model: Any, as_json: bool) -> None:
    from aisle.cli import cascade, ensemble, export

    shows = {"members": ensemble.show, "cheap": cascade.show, "sights": export.show}
    next(show for part, show in shows.items() if hasattr(model, part))(model, as_json)
