"""Uploaded files: their owners and the progress of their classification."""

from typing import Any

import sqlalchemy as sa

from aisle.server.errors import ApiError
from aisle.server.store.database import ServerStore, now
from aisle.server.store.tables import batches

ACTIVE = ("queued", "running")
CLASSIFY, REVIEW = "classify", "review"


def add(store: ServerStore, row: dict[str, Any], most: int) -> None:
    """Store a file that was read.

    Args:
        store: The store.
        row: All columns but those that this sets.
        most: Files that a person may have.

    Raises:
        ApiError: The person has as many files already.
    """
    own = sa.select(sa.func.count()).where(batches.c.person == row["person"])
    with store.begin() as connection:
        if (connection.scalar(own) or 0) >= most:
            raise ApiError(409, "too_many_batches", f"you have {most} files here: delete one first")
        state = {"at": now(), "state": "ready", "task": CLASSIFY, "done": 0, "error": None}
        connection.execute(batches.insert().values({**row, **state}))


def of_person(store: ServerStore, person: str) -> list[dict[str, Any]]:
    """A person's files, the latest first."""
    query = sa.select(batches).where(batches.c.person == person).order_by(batches.c.at.desc())
    with store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def get(store: ServerStore, batch_id: str, person: str | None = None) -> dict[str, Any]:
    """One file.

    Args:
        store: The store.
        batch_id: Its id.
        person: Whose it has to be; None: anybody's.

    Raises:
        ApiError: There is none, or it is another person's.
    """
    with store.read() as connection:
        row = connection.execute(sa.select(batches).where(batches.c.id == batch_id)).first()
    if row is None or person not in (None, row.person):
        raise ApiError(404, "no_such_batch", f"there is no file {batch_id}")
    return dict(row._mapping)


def ids(store: ServerStore) -> set[str]:
    """The ids of all files."""
    with store.read() as connection:
        return set(connection.scalars(sa.select(batches.c.id)))


def active(store: ServerStore) -> list[dict[str, Any]]:
    """Files that are, or are to be, worked on, the earliest first."""
    query = sa.select(batches).where(batches.c.state.in_(ACTIVE)).order_by(batches.c.at)
    with store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def update(store: ServerStore, batch_id: str, *states: str, **values: Any) -> bool:
    """Change a file's columns.

    Args:
        store: The store.
        batch_id: Its id.
        states: Only in one of these states; none: in any.
        values: The new values.

    Returns:
        Whether it was changed.
    """
    change = batches.update().where(batches.c.id == batch_id)
    if states:
        change = change.where(batches.c.state.in_(states))
    with store.begin() as connection:
        return connection.execute(change.values(values)).rowcount > 0


def delete(store: ServerStore, batch_id: str) -> None:
    """Delete a file's row."""
    with store.begin() as connection:
        connection.execute(batches.delete().where(batches.c.id == batch_id))
