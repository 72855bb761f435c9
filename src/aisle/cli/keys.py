"""`aisle keys`: who may call a server."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.serve import STORE, Store, needs_serve
from aisle.errors import AisleError, did_you_mean

_DOES = ("add", "list", "revoke")


def keys(
    do: Annotated[str, typer.Argument(metavar="add|list|revoke", help="`add`, `list` or `revoke`.")],
    who: Annotated[
        str | None, typer.Argument(help="add: the person; revoke: the person, or one key's id.")
    ] = None,
    role: Annotated[
        str, typer.Option(help="seller: classify, give feedback; reviewer: the queue too; admin: models too.")
    ] = "seller",
    store: Store = STORE,
    as_json: console.AsJson = False,
) -> None:
    """Make, list and revoke keys. A key is shown once, when it is made; only a hash of it is kept. A running
    server knows of a change within two seconds."""
    needs_serve()
    from aisle.server.store import Store as Opened
    from aisle.server.store import keys as kept

    if do not in _DOES:
        raise AisleError(f"aisle keys {do}: say {', '.join(_DOES)}.{did_you_mean(do, _DOES)}")
    if do != "list" and not who:
        raise AisleError(f"aisle keys {do}: say whose, as in `aisle keys {do} ana`")
    opened = Opened(store)
    try:
        if do == "add":
            made = kept.add(opened, who or "", role)
            if as_json:
                console.print_json({"key": made, "person": who, "role": role})
            else:
                console.out.print(made, markup=False, soft_wrap=True)
                console.say(f"the key of {who} ({role}); it cannot be shown again")
        elif do == "revoke":
            ended = kept.revoke(opened, who or "")
            console.say(f"{ended} key{'s' if ended > 1 else ''} of {who} ended")
        else:
            _show(kept.listed(opened), as_json)
    finally:
        opened.close()


def _show(holders: list, as_json: bool) -> None:  # type: ignore[type-arg]
    rows = [
        {
            "id": holder.id,
            "person": holder.person,
            "role": holder.role,
            "created": _day(holder.created),
            "revoked": _day(holder.revoked) if holder.revoked else None,
        }
        for holder in holders
    ]
    if as_json:
        console.print_json(rows)
        return
    for row in rows:
        ended = f"revoked {row['revoked']}" if row["revoked"] else ""
        line = f"{row['id']}  {row['role']:<8}  {row['created']}  {row['person']}  {ended}"
        console.out.print(line.rstrip(), markup=False)
    if not rows:
        console.say("there are no keys; `aisle keys add NAME --role admin` makes one")


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")
