"""Deletion of old rows, and of everything about a person."""

import sqlalchemy as sa

from aisle.server.store import keys
from aisle.server.store.database import ServerStore, now
from aisle.server.store.tables import (
    batches,
    discards,
    feedback,
    image_table,
    promotions,
    reviews,
    shadows,
    skips,
)

_DAY = 86_400_000


def prune(store: ServerStore, days: int) -> int:
    """Delete feedback, review items (open ones, too), shadow predictions and files that are older.

    Returns:
        How many rows.
    """
    oldest = now() - days * _DAY
    with store.begin() as connection:
        rows = sum(
            connection.execute(sa.delete(table).where(table.c.at < oldest)).rowcount
            for table in (feedback, reviews, shadows, batches)
        )
    sweep_images(store)
    if rows:
        store.purge_deleted()
    return rows


def forget(store: ServerStore, person: str) -> dict[str, int]:
    """Delete a person's feedback, review items, skips, files and keys, and their name from promotions and
    leases. The folders of files are deleted by the server, within a minute.

    Returns:
        How many rows of each table.
    """
    with store.begin() as connection:
        rows = {
            table.name: connection.execute(sa.delete(table).where(table.c.person == person)).rowcount
            for table in (feedback, reviews, skips, discards, batches)
        }
        rows["keys"] = keys.forget(connection, person)
        connection.execute(promotions.update().where(promotions.c.person == person).values(person=""))
        leased = reviews.update().where(reviews.c.leased_by == person)
        connection.execute(leased.values(leased_by=None, leased_until=0))
    sweep_images(store)
    store.purge_deleted()
    return rows


def sweep_images(store: ServerStore) -> int:
    """Delete images that no row refers to. An image is added in the transaction of its first row, so that
    those of requests in progress stay.

    Returns:
        How many.
    """
    with store.begin() as connection:
        store.lock_images(connection, exclusive=True)
        used: set[str] = set()
        for table in (feedback, reviews):
            for (names,) in connection.execute(sa.select(table.c.images)):
                used.update(names)
        unused = sorted(set(connection.scalars(sa.select(image_table.c.hash))) - used)
        for start in range(0, len(unused), 500):
            chunk = unused[start : start + 500]
            connection.execute(sa.delete(image_table).where(image_table.c.hash.in_(chunk)))
        return len(unused)
