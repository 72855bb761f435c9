"""`aisle serve`: runs the HTTP API and the web console."""

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import STORE, CurvePrecision, FetchUrls, Index, Store
from aisle.cli.store import check_serve_installed
from aisle.errors import AisleError


@command("serve", "Run the HTTP API and the web console.", section="Server")
def serve(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN", help="Run folders or models, the live one first; NAME=RUN sets its name."
        ),
    ],
    host: Annotated[str, typer.Option(envvar="AISLE_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="AISLE_PORT", min=0, max=65535, help="Port to listen on.")
    ] = 8000,
    store: Store = STORE,
    open_: Annotated[bool, typer.Option("--open", help="Open the console in the browser.")] = False,
    no_keys: Annotated[
        bool,
        typer.Option(
            "--no-keys", help="Need no key on a public address, as long as no key was ever created."
        ),
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A host name of this server. Repeatable.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", help="An origin whose pages may call the API (CORS). Repeatable."),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option("--proxy", help="A reverse proxy whose X-Forwarded-For is trusted. Repeatable."),
    ] = None,
    fetch_urls: FetchUrls = False,
    shadow: Annotated[
        str | None,
        typer.Option(help="Name of the shadow model: it classifies the same requests, to compare it."),
    ] = None,
    golden_set: Annotated[
        Path | None, typer.Option(help="Labelled products on which a new live model must not be worse.")
    ] = None,
    library: Annotated[
        Path | None, typer.Option(help="Folder from which administrators may load models.")
    ] = None,
    index: Index = None,
    mapping: Annotated[
        Path | None, typer.Option(help="Mapping of `aisle map` (CSV) that reviewers complete.")
    ] = None,
    mapping_to: Annotated[
        str, typer.Option(help="Target tree of the mapping: google, shopify, or a file.")
    ] = "google",
    rate: Annotated[
        float, typer.Option(min=0.01, help="Maximum requests per second and key or address.")
    ] = 500,
    max_wait: Annotated[
        float,
        typer.Option(
            min=0.01, help="Maximum queueing time in seconds; requests that would wait longer get 503."
        ),
    ] = 3.0,
    max_mb: Annotated[float, typer.Option(min=0.001, help="Maximum request size in MiB.")] = 64,
    double_review_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of reviews that two people do independently.")
    ] = 0.1,
    batch_min_confidence: Annotated[
        float,
        typer.Option(min=0, max=1, help="Minimum confidence of suggestions that are accepted in a batch."),
    ] = 0.8,
    precision: CurvePrecision = None,
    files: Annotated[
        Path | None, typer.Option(help="Folder of the files that people upload (default: beside the store).")
    ] = None,
    keep_days: Annotated[int | None, typer.Option(min=1, help="Delete data after this many days.")] = None,
) -> None:
    """Serve one or more models. The API documentation is at /docs. On SIGTERM, running requests are finished
    first."""
    check_serve_installed()
    from aisle.server.run import serve as listen
    from aisle.server.settings import ImageFetchSettings, RequestLimits, ServerSettings

    settings = ServerSettings(
        runs=named(runs),
        store=store,
        host=host,
        port=port,
        hosts=tuple(allow_host or ()),
        no_keys=no_keys,
        proxies=tuple(proxy or ()),
        origins=tuple(allow_origin or ()),
        library=library,
        index=index,
        mapping=mapping,
        mapping_to=mapping_to,
        golden_set=golden_set,
        shadow=shadow,
        double_review_rate=double_review_rate,
        batch_min_confidence=batch_min_confidence,
        files=files,
        keep_days=keep_days,
        precision=precision,
        limits=RequestLimits(
            rate=rate,
            burst=max(1, round(rate * 2)),
            max_wait_s=max_wait,
            max_body_bytes=max(1, round(max_mb * 2**20)),
        ),
        image_fetch=ImageFetchSettings(enabled=fetch_urls),
    )

    def say_address() -> None:
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        console.say(f"{url}  documentation: {url}/docs")
        if open_:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    listen(settings, say_address)


def named(runs: list[str]) -> dict[str, Path]:
    """Names of models: `runs/shop` is `shop`, `new=runs/shop-2` is `new`.

    Raises:
        AisleError: Two have one name.
    """
    models: dict[str, Path] = {}
    for text in runs:
        name, sign, folder = text.partition("=")
        path = Path(folder if sign else text)
        if not sign:
            absolute = path.absolute()
            name = absolute.parent.name if absolute.name == "model" else absolute.name
        if name in models or not name or "," in name or "/" in name:
            reason = "is used twice" if name in models else "is not valid"
            raise AisleError(f"{text}: the name {name!r} {reason}; choose another: NAME={path}")
        models[name] = path
    return models
