"""`aisle images`: fetch the pictures that a catalogue names by address."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli.catalog_flags import (
    ColumnFlag,
    ColumnsFlag,
    DateFormatFlag,
    DelimiterFlag,
    EncodingFlag,
    MaxExpandedFlag,
    Source,
    open_catalog,
)


def images(
    source: Source,
    out: Annotated[Path, typer.Option("--out", help="The folder to keep pictures in; run again to go on.")],
    column: ColumnFlag = None,
    columns: ColumnsFlag = None,
    max_expanded: MaxExpandedFlag = None,
    delimiter: DelimiterFlag = None,
    encoding: EncodingFlag = None,
    date_format: DateFormatFlag = None,
    workers: Annotated[int, typer.Option(min=1, help="Pictures fetched at once.")] = 16,
    per_host: Annotated[int, typer.Option(min=1, help="Of them, at one host.")] = 4,
    pause: Annotated[float, typer.Option(min=0, help="Seconds a worker rests after each.")] = 0.0,
    max_mb: Annotated[float, typer.Option(min=0, help="Larger pictures are refused.")] = 20.0,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Also from addresses inside your own network.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of them as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Fetch the pictures that a catalogue names by address into a folder, to read it with
    --image-root FOLDER. Exit 0: all are there; 1: some could not be fetched; 2: wrong use."""
    from aisle.cli import console
    from aisle.data.downloads import RateLimits, addresses, download
    from aisle.data.fetch import FetchLimits

    catalog = open_catalog(
        source,
        column=column,
        columns=columns,
        max_expanded=max_expanded,
        delimiter=delimiter,
        encoding=encoding,
        date_format=date_format,
        labels=False,
    )
    result = download(
        addresses(catalog),
        out,
        limits=FetchLimits(max_bytes=int(max_mb * 2**20), private=allow_private),
        rates=RateLimits(workers, per_host, pause),
        progress=console.progress(quiet or as_json),
    )
    if as_json:
        console.print_json(result._asdict())
    elif result == (0, 0, {}):
        named = ", ".join(catalog.columns.images) or "no column"
        console.out.print(
            f"nothing to fetch: no picture is named by an address (pictures: {named})", markup=False
        )
    else:
        for url, why in list(result.failed.items())[:10]:
            console.say(f"{url}: {why}")
        more = len(result.failed) - 10
        console.say(f"… and {more:,} more; all are in {out / 'images.jsonl'}" if more > 0 else "", more <= 0)
        console.out.print(
            f"{result.fetched:,} fetched, {result.present:,} there already, {len(result.failed):,} failed; "
            f"read the catalogue with --image-root {out}",
            markup=False,
        )
    if result.failed:
        raise typer.Exit(1)
