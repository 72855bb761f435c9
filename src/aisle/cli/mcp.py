"""`aisle mcp`: serves a model to an agent on this machine."""

from aisle.cli.command import command
from aisle.cli.options import CurvePrecision, FetchUrls, Index, Run
from aisle.cli.store import check_serve_installed


@command("mcp", "Serve a model to an agent (Model Context Protocol).", section="Server")
def mcp(
    run: Run,
    index: Index = None,
    precision: CurvePrecision = None,
    fetch_urls: FetchUrls = False,
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
