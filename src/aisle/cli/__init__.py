"""The door: one small module a command group; each parses, calls the library, prints.

Heavy imports sit inside the commands, so that `aisle --help` answers at once.
"""

import importlib
import re
import sys
from collections.abc import Callable
from itertools import pairwise
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
    """A function called `name` in a module under aisle.cli; `short` is its line in `aisle --help`."""

    name: str
    module: str
    short: str

    @property
    def function(self) -> Callable[..., None]:
        """The command's function; its module is imported here."""
        return getattr(importlib.import_module(f"aisle.cli.{self.module}"), self.name.replace("-", "_"))


COMMANDS = (
    Command("demo", "demo", "Write a sample shop; train, evaluate and classify."),
    Command("check", "check", "Look a catalogue over before learning from it."),
    Command("duplicates", "duplicates", "Group rows that list the same product twice."),
    Command("split", "split", "Split a catalog into parts, at random or by time."),
    Command("train", "train", "Learn a shop's tree from its catalogue."),
    Command("evaluate", "evaluate", "Judge a model on labelled products."),
    Command("audit", "audit", "Rank labels by how likely they are wrong."),
    Command("ensemble", "ensemble", "Average several models, or stack one on them."),
    Command("export", "export", "Write a network as ONNX graphs, in int8 if asked."),
    Command("cascade", "cascade", "Combine cheap models with a full one, in stages."),
    Command("compare", "compare", "Train recipes on the same folds, in one table."),
    Command("explain", "explain", "Show what moved a decision, as a picture."),
    Command("drift", "drift", "Compare new products with the training products."),
    Command("calibrate", "calibrate", "Fit what a model promises on rows of your own."),
    Command("classify", "classify", "Say where each product of a file belongs."),
    Command("export-submission", "export_submission", "Write predictions in a contest's submission format."),
    Command("info", "classify", "Say what a saved model is and how good."),
    Command("recipes", "train", "List the shipped recipes, or print one."),
    Command("embed", "index", "Write the embeddings of products to a file."),
    Command("index", "index", "Make an index to search in, or change one."),
    Command("search", "search", "Find products by words, picture or another product."),
    Command("serve", "serve", "Serve models: API, suggestions, feedback."),
    Command("keys", "keys", "Make, list and revoke a server's keys."),
    Command("models", "models", "See a server's models; promote one, go back."),
    Command("feedback", "feedback", "Export what people chose, or delete it."),
    Command("images", "images", "Fetch the pictures a catalogue names by address."),
)


def register() -> typer.Typer:
    """The app with every command on it."""
    from aisle.cli.interrupts import guarded

    if not app.registered_commands:
        for command in COMMANDS:
            app.command(command.name, short_help=command.short)(guarded(command.function))
    return app


_ADDRESS = re.compile(r"auto|ray://\S+|[\w.-]+:\d+")  # of a Ray cluster


def _with_addresses(words: list[str]) -> list[str]:
    """`--ray` alone means a cluster of this machine; typer knows no option whose value may be left out."""
    said = [*words, ""]
    alone = (w == "--ray" and not _ADDRESS.fullmatch(after) for w, after in pairwise(said))
    return [f"{word}=local" if one else word for word, one in zip(words, alone, strict=True)]


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
        register()(_with_addresses(sys.argv[1:]))
    except AisleError as error:
        console.err.print(f"error: {error}", style="bold red", markup=False)
        sys.exit(2)
