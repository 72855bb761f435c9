"""`aisle keys`: creates, lists and revokes a server's API keys."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command, group
from aisle.cli.options import STORE, AsJson, Store
from aisle.cli.store import opened

group("keys", "Create, list and revoke a server's API keys.", section="Server")


@command("keys add", "Create a key.", section="Server")
def add(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Who uses the key.")],
    role: Annotated[
        str,
        typer.Option(
            help="seller: classify and give feedback; reviewer: also the review queue; admin: also models."
        ),
    ] = "seller",
    store: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it. It is shown once; only its hash is stored."""
    with opened(store) as database:
        from aisle.server.store import keys

        key = keys.add(database, person, role)
    if as_json:
        console.print_json({"key": key, "person": person, "role": role})
    else:
        console.out.print(key, markup=False, soft_wrap=True)
        console.say(f"the key of {person} ({role}); it cannot be shown again")


@command("keys revoke", "Revoke a person's keys, or one key.", section="Server")
def revoke(
    who: Annotated[str, typer.Argument(metavar="PERSON_OR_ID", help="A person, or the id of one key.")],
    store: Store = STORE,
) -> None:
    """Revoke a person's keys, or one key. A running server notices within two seconds."""
    with opened(store) as database:
        from aisle.server.store import keys

        revoked = keys.revoke(database, who)
    console.say(f"revoked {revoked} key{'s' if revoked > 1 else ''} of {who}")


@command("keys list", "List all keys.", section="Server")
def list_(store: Store = STORE, as_json: AsJson = False) -> None:
    """List all keys: id, role, date and person."""
    with opened(store) as database:
        from aisle.server.store import keys

        rows = [
            {
                "id": key.id,
                "person": key.person,
                "role": key.role,
                "created": _day(key.created),
                "revoked": _day(key.revoked) if key.revoked else None,
            }
            for key in keys.list_keys(database)
        ]
    if as_json:
        console.print_json(rows)
        return
    for row in rows:
        revoked = f"revoked {row['revoked']}" if row["revoked"] else ""
        line = f"{row['id']}  {row['role']:<8}  {row['created']}  {row['person']}  {revoked}"
        console.out.print(line.rstrip(), markup=False)
    if not rows:
        console.say("there are no keys; `aisle keys add NAME --role admin` creates one")


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")
