"""`aisle feedback`: what people chose, as a file to train from; and its deletion."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.serve import STORE, Store, needs_serve
from aisle.errors import AisleError, did_you_mean

_DOES = ("export", "forget", "prune")


def feedback(
    do: Annotated[str, typer.Argument(metavar="export|forget|prune", help="`export`, `forget` or `prune`.")],
    what: Annotated[
        str | None, typer.Argument(help="export: the .jsonl file; forget: the person; prune: days to keep.")
    ] = None,
    default_weight: Annotated[
        float,
        typer.Option(
            min=0, help="export: the weight of suggestions that stood without anyone looking; 0: not learned."
        ),
    ] = 0.0,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="export: only from this day (UTC) on.")
    ] = None,
    store: Store = STORE,
    as_json: console.AsJson = False,
) -> None:
    """Export feedback for `aisle train` (one row a product: its last word, a reviewer's before a seller's),
    delete a person's data, or delete what is old."""
    needs_serve()
    from aisle.server.store import Store as Opened
    from aisle.server.store import feedback as kept
    from aisle.server.store import retention

    if do not in _DOES:
        raise AisleError(f"aisle feedback {do}: say {', '.join(_DOES)}.{did_you_mean(do, _DOES)}")
    if not what:
        needed = {"export": "FILE.jsonl", "forget": "PERSON", "prune": "DAYS"}[do]
        raise AisleError(f"aisle feedback {do}: say aisle feedback {do} {needed}")
    if do == "export" and Path(what).suffix != ".jsonl":
        raise AisleError(f"{what}: feedback is written as JSON lines; name a file ending in .jsonl")
    if do == "prune" and not (what.isdigit() and int(what) > 0):
        raise AisleError(f"aisle feedback prune {what}: say how many days to keep, 1 or more")
    opened = Opened(store)
    try:
        if do == "export":
            start = int(since.replace(tzinfo=UTC).timestamp() * 1000) if since else 0
            found = kept.export(opened, Path(what), default_weight, start)
        else:
            found = (
                retention.forget(opened, what)
                if do == "forget"
                else {"rows": retention.prune(opened, int(what))}
            )
    finally:
        opened.close()
    if as_json:
        console.print_json(found)
    elif do == "export":
        console.out.print(
            f"{sum(found.values()):,} products: {found['chosen']:,} chosen, {found['accepted']:,} accepted, "
            f"{found['batch']:,} accepted in a batch, "
            f"{found['default']:,} that nobody looked at (weight {default_weight:g})"
        )
        console.places(
            feedback=what, next=f"aisle train {what}, or put it beside the catalogue and train on both"
        )
    else:
        told = ", ".join(f"{number:,} {name}" for name, number in found.items())
        console.out.print(f"deleted: {told}", markup=False)
