"""Command-line interface: one module per command, which parses options, calls the library and prints.

Heavy imports are inside the commands, so that `aisle --help` starts quickly.
"""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from aisle.errors import AisleError

_SETTINGS: dict[str, Any] = {
    "context_settings": {"help_option_names": ["-h", "--help"]},
    "no_args_is_help": True,
    "rich_markup_mode": None,
}


class SectionedGroup(TyperGroup):
    """A group of commands whose help lists them by section."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one list of commands per section."""
        from aisle.cli.command import SECTIONS, commands

        listed = [command for command in commands() if " " not in command.name]
        width = max(len(command.name) for command in listed)
        for section in SECTIONS:
            rows = [
                (f"{command.name:<{width}}", command.short)
                for command in listed
                if command.section == section
            ]
            with formatter.section(section):
                formatter.write_dl(rows)


class PlainCommand(TyperCommand):
    """A command whose help shows arguments by name, without Python types."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        for param in self.get_params(ctx):
            if isinstance(param, TyperArgument):
                param.display_type = lambda ctx: ""
        super().format_help(ctx, formatter)


app = typer.Typer(
    name="aisle",
    cls=SectionedGroup,
    help="Classify products of a shop into the shop's own category tree, from text and images, with "
    "a guaranteed precision.",
    epilog="Start with `aisle demo`, or with your own file: `aisle check products.csv`, then `aisle train "
    "products.csv`.",
    pretty_exceptions_enable=False,
    **_SETTINGS,
)


def register() -> typer.Typer:
    """The app with every command registered."""
    from aisle.cli.command import commands

    if app.registered_commands:
        return app
    groups: dict[str, typer.Typer] = {}
    for command in commands():
        parent, _, name = command.name.rpartition(" ")
        if command.function is None:
            groups[command.name] = typer.Typer(help=command.short, add_completion=False, **_SETTINGS)
            app.add_typer(groups[command.name], name=command.name, short_help=command.short)
        else:
            (groups[parent] if parent else app).command(name, cls=PlainCommand, short_help=command.short)(
                command.function
            )
    return app


def _version(requested: bool) -> None:
    if requested:
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
    """Run the command line. An error that the user can correct is printed on one line; the exit code is 2."""
    from aisle.cli import console

    try:
        register()(sys.argv[1:])
    except AisleError as error:
        console.err.print(f"error: {error}", style="bold red", markup=False)
        sys.exit(2)
