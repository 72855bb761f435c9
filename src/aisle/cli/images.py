"""`aisle images`: downloads the images of a catalog that are given as URLs."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, FileOptions, Quiet, Source


@command("images", "Download images that a catalog gives as URLs.", section="Catalog")
def images(
    source: Source,
    options: FileOptions,
    out: Annotated[Path, typer.Option("--out", help="Image folder; run the command again to continue.")],
    workers: Annotated[int, typer.Option(min=1, help="Parallel downloads.")] = 16,
    per_host: Annotated[int, typer.Option(min=1, help="Parallel downloads per host.")] = 4,
    pause: Annotated[float, typer.Option(min=0, help="Seconds a worker waits after each download.")] = 0.0,
    max_mb: Annotated[float, typer.Option(min=0, help="Maximum size of an image, in MiB.")] = 20.0,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow addresses inside your own network.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Download the images that a catalog gives as URLs into a folder; then read the catalog with
    --image-root FOLDER. Exit code 1: some images could not be downloaded."""
    from aisle.data.downloads import RateLimits, download, image_urls
    from aisle.data.fetch import FetchLimits

    catalog = options.read(source, labels=False)
    result = download(
        image_urls(catalog),
        out,
        limits=FetchLimits(max_bytes=int(max_mb * 2**20), private=allow_private),
        rates=RateLimits(workers, per_host, pause),
        progress=console.progress(quiet or as_json),
    )
    if as_json:
        console.print_json(result._asdict())
    elif result == (0, 0, {}):
        columns = ", ".join(catalog.columns.images) or "no column"
        console.out.print(
            f"nothing to download: no image is given as a URL (images: {columns})", markup=False
        )
    else:
        for url, reason in list(result.failed.items())[:10]:
            console.say(f"{url}: {reason}")
        more = len(result.failed) - 10
        console.say(f"… and {more:,} more; all are in {out / 'images.jsonl'}" if more > 0 else "", more <= 0)
        console.out.print(
            f"{result.fetched:,} downloaded, {result.present:,} already present, "
            f"{len(result.failed):,} failed; read the catalog with --image-root {out}",
            markup=False,
        )
    if result.failed:
        raise typer.Exit(1)
