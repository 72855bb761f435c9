"""`aisle models`: which models a running server has, and which one of them answers."""

from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.serve import needs_serve
from aisle.errors import AisleError, did_you_mean

_DOES = ("list", "load", "promote", "remove", "rollback", "shadow")
_NAMED = ("load", "promote", "remove")


def models(
    do: Annotated[
        str,
        typer.Argument(
            metavar="list|load|promote|remove|rollback|shadow",
            help="promote: let a model answer, if it is not worse on the server's fixed set; rollback: the "
            "one before answers again; shadow: let one answer along, unseen (without a name: none).",
        ),
    ] = "list",
    name: Annotated[str | None, typer.Argument(help="The model's name.")] = None,
    folder: Annotated[
        str | None, typer.Argument(help="load: its folder below the server's --library.")
    ] = None,
    server: Annotated[
        str, typer.Option(envvar="AISLE_SERVER", help="Where the server is.")
    ] = "http://127.0.0.1:8000",
    key: Annotated[
        str | None,
        typer.Option(envvar="AISLE_KEY", help="A key of role admin, where the server asks for one."),
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Ask a running server for its models, and let another one answer: judged first, and without a dropped
    request. Exit 2: the server refuses, or cannot be reached."""
    needs_serve()
    from aisle.server.client import Client

    if do not in _DOES:
        raise AisleError(f"aisle models {do}: say {', '.join(_DOES)}.{did_you_mean(do, _DOES)}")
    if do in _NAMED and not name:
        raise AisleError(f"aisle models {do}: say which, as in `aisle models {do} new`")
    if do == "load" and not folder:
        raise AisleError(f"aisle models load {name}: say the folder below the server's --library")
    with Client(server, key, seconds=600) as client:
        if do == "list":
            told = client.models()
        elif do == "load":
            told = client.load(name or "", folder or "")
        elif do == "promote":
            told = client.promote(name or "")
        elif do == "remove":
            told = client.remove(name or "")
        elif do == "rollback":
            told = client.roll_back()
        else:
            told = client.shadow(name)
    if as_json:
        console.print_json(told)
        return
    if measured := told.get("measured"):
        low, high, all_ = measured["low"], measured["high"], measured["products"]
        console.say(
            f"of {all_:,} products {name} gets {measured['candidate']:,} right, the one before "
            f"{measured['live']:,} ({measured['difference']:+.1%}; 95 % limits {low:+.1%} to {high:+.1%})"
        )
    for one in told["models"]:
        stands = "live" if one["live"] else "shadow" if one["shadow"] else ""
        shares = [f"{what} {value:.3f}" for what, value in one["metrics"].items() if 0 <= value <= 1][:2]
        about = ", ".join([f"{one['categories']:,} categories", *shares])
        console.out.print(f"{one['name']:<16} {stands:<7} {one['model_id']}  {about}", markup=False)
