"""The door: one small module a command group; each parses, calls the library, prints.

Heavy imports sit inside the commands, so that `aisle --help` answers at once.
"""

import importlib
import importlib.util
import sys

import typer

from aisle.errors import AisleError

app = typer.Typer(
    name="aisle",
    help="Puts every product of a shop in its place.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# name -> the module under aisle.cli that holds the function of that name
COMMANDS = {
    "demo": "demo",
    "check": "check",
    "train": "train",
    "evaluate": "evaluate",
    "classify": "classify",
    "show": "classify",
    "calibrate": "calibrate",
    "recipes": "train",
    "images": "images",
}


def _register() -> None:
    for name, module in COMMANDS.items():
        if importlib.util.find_spec(f"aisle.cli.{module}") is not None:
            app.command(name)(getattr(importlib.import_module(f"aisle.cli.{module}"), name))


def main() -> None:
    """Run the command line; an error a user can mend becomes one clean line and exit code 2."""
    from aisle.cli import console

    _register()
    try:
        app()
    except AisleError as error:
        console.err.print(f"error: {error}", style="bold red", markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.err.print("interrupted")
        sys.exit(130)
