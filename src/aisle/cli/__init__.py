"""The door: one small module a command group; each parses, calls the library, prints.

Heavy imports sit inside the commands, so that `aisle --help` answers at once.
"""

import importlib
import importlib.util
import sys
from typing import Annotated, NamedTuple

import typer

from aisle.errors import AisleError

app = typer.Typer(
    name="aisle",
    help="Puts every product of a shop in its place: learns the shop's own category tree from the shop's own "
    "catalogue, and says where new products belong.",
    epilog="Begin with `aisle demo`, or with a file of yours: `aisle check products.csv`, then `aisle train "
    "products.csv`.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Command(NamedTuple):
    """A function of that name in a module under aisle.cli; `short` is its line in `aisle --help`."""

    module: str
    short: str


COMMANDS = {
    "demo": Command("demo", "Draw a sample shop, train on it, evaluate and classify."),
    "check": Command("check", "Look a catalogue over before learning from it."),
    "train": Command("train", "Learn a shop's tree from its catalogue."),
    "evaluate": Command("evaluate", "Judge a model on labelled products."),
    "calibrate": Command("calibrate", "Fit what a model promises on rows of your own."),
    "classify": Command("classify", "Say where each product of a file belongs."),
    "show": Command("classify", "Say what a saved model is and how good."),
    "recipes": Command("train", "List the shipped recipes, or print one."),
    "images": Command("images", "Fetch the pictures a catalogue names by address."),
}


def register() -> typer.Typer:
    """The app with every command on it."""
    if not app.registered_commands:
        for name, (module, short) in COMMANDS.items():
            if importlib.util.find_spec(f"aisle.cli.{module}") is not None:
                function = getattr(importlib.import_module(f"aisle.cli.{module}"), name)
                app.command(name, short_help=short)(function)
    return app


def _version(asked: bool) -> None:
    if asked:
        from aisle import __version__

        typer.echo(f"aisle {__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error a user can mend becomes one clean line and exit code 2."""
    from aisle.cli import console

    try:
        register()()
    except AisleError as error:
        console.err.print(f"error: {error}", style="bold red", markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.err.print("interrupted")
        sys.exit(130)
