"""`aisle mcp`: serves a model to an agent on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli.command import command
from aisle.cli.options import CurvePrecision, Run
from aisle.cli.store import check_serve_installed


@command("mcp", "Serve a model to an agent (Model Context Protocol).", section="Server")
def mcp(
    run: Run,
    index: Annotated[Path | None, typer.Option(help="Search index, written by `aisle index`.")] = None,
    precision: CurvePrecision = None,
    fetch_urls: Annotated[
        bool, typer.Option("--fetch-urls", help="Download images that products give as URLs.")
    ] = False,
) -> None:
    """Offer `classify`, `explain` and, with --index, `search` as tools over standard input and output, for an
    agent that starts this command. `aisle serve` offers the same tools at /mcp."""
    check_serve_installed()
    from aisle.server.mcp.tools import serve_stdio
    from aisle.server.settings import ImageFetchSettings, ServerSettings

    serve_stdio(
        ServerSettings(
            runs={"live": run},
            index=index,
            precision=precision,
            image_fetch=ImageFetchSettings(enabled=fetch_urls),
        )
    )
