"""`aisle feedback`: exports and deletes the feedback of a server's users."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command, group
from aisle.cli.options import STORE, AsJson, Store
from aisle.cli.store import opened
from aisle.errors import AisleError

group("feedback", "Export or delete what users of a server chose.", section="Server")


@command("feedback export", "Write feedback as a file to train on.", section="Server")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="The output file.")],
    default_weight: Annotated[
        float,
        typer.Option(min=0, help="Weight of suggestions that nobody looked at; 0: not used for training."),
    ] = 0.0,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only feedback from this day (UTC) on.")
    ] = None,
    store: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Write feedback as a file for `aisle train`: one row per product, with its last label. A reviewer's
    label takes precedence over a seller's."""
    if file.suffix != ".jsonl":
        raise AisleError(f"{file}: feedback is written as JSON lines; name a file ending in .jsonl")
    start = int(since.replace(tzinfo=UTC).timestamp() * 1000) if since else 0
    with opened(store) as database:
        from aisle.server.store import feedback as feedback_store

        result = feedback_store.export(database, file, default_weight, start)
    if as_json:
        console.print_json(result)
        return
    console.out.print(
        f"{sum(result.values()):,} products: {result['chosen']:,} chosen, {result['accepted']:,} accepted, "
        f"{result['batch']:,} accepted in a batch, "
        f"{result['default']:,} that nobody looked at (weight {default_weight:g})"
    )
    console.print_paths(
        feedback=file, next=f"aisle train {file}, or put it next to the catalog and train on both"
    )


@command("feedback forget", "Delete all data of a person.", section="Server")
def forget(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The name on the person's key.")],
    store: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Delete all data that carries a person's name."""
    with opened(store) as database:
        from aisle.server.store import retention

        _print_deleted(retention.forget(database, person), as_json)


@command("feedback prune", "Delete old data.", section="Server")
def prune(
    days: Annotated[int, typer.Argument(metavar="DAYS", min=1, help="Keep the data of this many days.")],
    store: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Delete data that is older than a number of days."""
    with opened(store) as database:
        from aisle.server.store import retention

        _print_deleted({"rows": retention.prune(database, days)}, as_json)


def _print_deleted(deleted: dict[str, int], as_json: bool) -> None:
    if as_json:
        console.print_json(deleted)
        return
    counts = ", ".join(f"{number:,} {name}" for name, number in deleted.items())
    console.out.print(f"deleted: {counts}", markup=False)
