"""`aisle serve`: the API and the console, in one process."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.errors import AisleError

Store = Annotated[
    str,
    typer.Option(
        envvar="AISLE_STORE",
        help="Where keys and feedback are kept: a SQLite file, or postgresql://USER:PASSWORD@HOST/NAME.",
    ),
]
STORE = "aisle-server.db"


def serve(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN…", help="Runs or models, the live one first; NAME=RUN gives it a name."),
    ],
    host: Annotated[str, typer.Option(envvar="AISLE_HOST", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="AISLE_PORT", min=0, max=65535)] = 8000,
    store: Store = STORE,
    open_: Annotated[
        bool,
        typer.Option(
            "--open", help="Ask nobody for a key, as long as there never was one, though others may reach it."
        ),
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A name it is reached under. Repeatable.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", help="Pages of this origin may call it (CORS). Repeatable."),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option("--proxy", help="A reverse proxy's address, whose X-Forwarded-For is true. Repeatable."),
    ] = None,
    fetch_urls: Annotated[
        bool, typer.Option("--fetch-urls", help="Fetch pictures that products name by address.")
    ] = False,
    shadow: Annotated[
        str | None,
        typer.Option(help="The name of the model that answers along, unseen, to compare."),
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Labelled products on which a model must not be worse to go live.")
    ] = None,
    library: Annotated[
        Path | None, typer.Option(help="The folder from which administrators may load further models.")
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="Products to search, an index that `aisle index` made.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, help="Requests a second for each key or address.")] = 500,
    max_wait: Annotated[
        float, typer.Option(min=0.01, help="Seconds to wait for others; who would wait longer gets 503.")
    ] = 3.0,
    max_mb: Annotated[float, typer.Option(min=0.001, help="Larger requests are refused.")] = 64,
    double: Annotated[
        float, typer.Option(min=0, max=1, help="The share of reviews that two people do, to compare.")
    ] = 0.1,
    batch_floor: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Suggestions of less confidence cannot be accepted several at a time."
        ),
    ] = 0.8,
    keep_days: Annotated[
        int | None, typer.Option(min=1, help="Delete what was kept this many days ago.")
    ] = None,
) -> None:
    """Serve one model or several: an API with its documentation at /docs. It stops on SIGTERM, once what is
    under way is answered. Exit 2: wrong use, a port in use."""
    needs_serve()
    from aisle.server.run import serve as listen
    from aisle.server.settings import Limits, Settings, Urls

    settings = Settings(
        runs=named(runs),
        store=store,
        host=host,
        port=port,
        hosts=tuple(allow_host or ()),
        open=open_,
        proxies=tuple(proxy or ()),
        origins=tuple(allow_origin or ()),
        library=library,
        index=index,
        gold=gold,
        shadow=shadow,
        double=double,
        batch_floor=batch_floor,
        keep_days=keep_days,
        limits=Limits(
            rate=rate,
            burst=max(1, round(rate * 2)),
            patience=max_wait,
            body=max(1, round(max_mb * 2**20)),
        ),
        urls=Urls(enabled=fetch_urls),
    )
    listen(settings, lambda: console.say(f"http://{host}:{port}  documentation: http://{host}:{port}/docs"))


def needs_serve() -> None:
    """Before what is not there is imported.

    Raises:
        AisleError: the packages of the extra are not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "sqlalchemy", "alembic")):
        raise AisleError("serving needs more packages: pip install 'aisle[serve]'")


def named(runs: list[str]) -> dict[str, Path]:
    """`runs/shop` is called shop, `new=runs/shop-2` new.

    Raises:
        AisleError: two of one name.
    """
    found: dict[str, Path] = {}
    for text in runs:
        name, sign, folder = text.partition("=")
        path = Path(folder if sign else text)
        if not sign:
            whole = path.absolute()
            name = whole.parent.name if whole.name == "model" else whole.name
        if name in found or not name or "," in name or "/" in name:
            why = "is taken" if name in found else "cannot be one"
            raise AisleError(f"{text}: the name {name!r} {why}; give another: NAME={path}")
        found[name] = path
    return found
