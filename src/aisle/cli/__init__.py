"""The door: one small module a command group; each parses, calls the library, prints.

Heavy imports sit inside the commands, so that `aisle --help` answers at once.
"""

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


def main() -> None:
    """Run the command line; an error a user can mend becomes one clean line and exit code 2."""
    from aisle.cli import console

    try:
        app()
    except AisleError as error:
        console.err.print(f"error: {error}", style="bold red", markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.err.print("interrupted")
        sys.exit(130)
