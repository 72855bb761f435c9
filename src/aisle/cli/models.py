"""`aisle models`: lists, loads and promotes the models of a running server."""

from typing import Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command, group
from aisle.cli.options import AsJson
from aisle.cli.store import check_serve_installed

group("models", "List, load and promote the models of a running server.", section="Server")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]
Server = Annotated[str, typer.Option("--server", envvar="AISLE_SERVER", help="The server's URL.")]
Key = Annotated[
    str | None,
    typer.Option("--key", envvar="AISLE_KEY", help="A key of role admin, where the server needs one."),
]
SERVER = "http://127.0.0.1:8000"


@command("models list", "List the models.", section="Server")
def list_(server: Server = SERVER, key: Key = None, as_json: AsJson = False) -> None:
    """List a server's models: name, role, id and accuracy."""
    with _client(server, key) as client:
        _print(client.models(), as_json)


@command("models load", "Load a model.", section="Server")
def load(
    name: Name,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Its folder below the server's --library.")],
    server: Server = SERVER,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Load a model from the server's library folder."""
    with _client(server, key) as client:
        _print(client.load(name, folder), as_json)


@command("models promote", "Make a model the live one.", section="Server")
def promote(name: Name, server: Server = SERVER, key: Key = None, as_json: AsJson = False) -> None:
    """Make a model the live one, if it is not worse on the server's golden set. No request is dropped."""
    with _client(server, key) as client:
        found = client.promote(name)
    comparison = found.get("comparison")
    if comparison and not as_json:
        console.say(
            f"of {comparison['products']:,} products, {name} classifies {comparison['candidate']:,} "
            f"correctly, the "
            f"live model {comparison['live']:,} ({comparison['difference']:+.1%}; 95 % interval "
            f"{comparison['low']:+.1%} to {comparison['high']:+.1%})"
        )
    _print(found, as_json)


@command("models rollback", "Make the previous model live again.", section="Server")
def rollback(server: Server = SERVER, key: Key = None, as_json: AsJson = False) -> None:
    """Make the model live that was live before."""
    with _client(server, key) as client:
        _print(client.roll_back(), as_json)


@command("models shadow", "Run a model in shadow mode.", section="Server")
def shadow(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The model's name (default: no shadow model).")
    ] = None,
    server: Server = SERVER,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Let a model classify the same requests without returning its predictions, to compare it."""
    with _client(server, key) as client:
        _print(client.shadow(name), as_json)


@command("models remove", "Unload a model.", section="Server")
def remove(name: Name, server: Server = SERVER, key: Key = None, as_json: AsJson = False) -> None:
    """Unload a model."""
    with _client(server, key) as client:
        _print(client.remove(name), as_json)


def _client(server: str, key: str | None) -> Any:
    check_serve_installed()
    from aisle.server.client import Client

    return Client(server, key, timeout=600)


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(found)
        return
    for one in found["models"]:
        stands = "live" if one["live"] else "shadow" if one["shadow"] else ""
        shares = [f"{name} {value:.3f}" for name, value in one["metrics"].items() if 0 <= value <= 1][:2]
        about = ", ".join([f"{one['categories']:,} categories", *shares])
        console.out.print(f"{one['name']:<16} {stands:<7} {one['model_id']}  {about}", markup=False)
