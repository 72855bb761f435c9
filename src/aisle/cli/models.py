"""`aisle models`: lists, loads and promotes the models of a running server."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command, group
from aisle.cli.options import AsJson, OptionGroup
from aisle.cli.store import check_serve_installed

if TYPE_CHECKING:
    from aisle.server.client import Client

group("models", "List, load and promote the models of a running server.", section="Server")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]


@dataclass(frozen=True, kw_only=True)
class ServerOptions(OptionGroup):
    """Which server, and how the model list is printed."""

    server: Annotated[str, typer.Option("--server", envvar="AISLE_SERVER", help="The server's URL.")] = (
        "http://127.0.0.1:8000"
    )
    key: Annotated[
        str | None,
        typer.Option("--key", envvar="AISLE_KEY", help="A key of role admin, where the server needs one."),
    ] = None
    as_json: AsJson = False

    def connect(self) -> "Client":
        """A client of the server, to be used in a `with` block.

        Raises:
            AisleError: The extra `serve` is not installed.
        """
        check_serve_installed()
        from aisle.server.client import Client

        return Client(self.server, self.key, timeout=600)

    def print(self, models: dict[str, Any]) -> None:
        """Print a response of the server that lists its models."""
        if self.as_json:
            console.print_json(models)
            return
        for model in models["models"]:
            role = "live" if model["live"] else "shadow" if model["shadow"] else ""
            metrics = [f"{name} {value:.3f}" for name, value in model["metrics"].items() if 0 <= value <= 1][
                :2
            ]
            about = ", ".join([f"{model['categories']:,} categories", *metrics])
            console.out.print(f"{model['name']:<16} {role:<7} {model['model_id']}  {about}", markup=False)


@command("models list", "List the models.", section="Server")
def list_(options: ServerOptions) -> None:
    """List a server's models: name, role, id and accuracy."""
    with options.connect() as client:
        options.print(client.models())


@command("models load", "Load a model.", section="Server")
def load(
    name: Name,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Its folder below the server's --library.")],
    options: ServerOptions,
) -> None:
    """Load a model from the server's library folder."""
    with options.connect() as client:
        options.print(client.load(name, folder))


@command("models promote", "Make a model the live one.", section="Server")
def promote(name: Name, options: ServerOptions) -> None:
    """Make a model the live one, if it is not worse on the server's golden set. No request is dropped."""
    with options.connect() as client:
        result = client.promote(name)
    comparison = result.get("comparison")
    if comparison and not options.as_json:
        console.say(
            f"of {comparison['products']:,} products, {name} classifies {comparison['candidate']:,} "
            f"correctly, the live model {comparison['live']:,} ({comparison['difference']:+.1%}; "
            f"95 % interval {comparison['low']:+.1%} to {comparison['high']:+.1%})"
        )
    options.print(result)


@command("models rollback", "Make the previous model live again.", section="Server")
def rollback(options: ServerOptions) -> None:
    """Make the model live that was live before."""
    with options.connect() as client:
        options.print(client.roll_back())


@command("models shadow", "Run a model in shadow mode.", section="Server")
def shadow(
    options: ServerOptions,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The model's name (default: no shadow model).")
    ] = None,
) -> None:
    """Let a model classify the same requests without returning its predictions, to compare it."""
    with options.connect() as client:
        options.print(client.shadow(name))


@command("models remove", "Unload a model.", section="Server")
def remove(name: Name, options: ServerOptions) -> None:
    """Unload a model."""
    with options.connect() as client:
        options.print(client.remove(name))
