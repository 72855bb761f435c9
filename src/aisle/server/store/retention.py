"""Deleting: what is older than it may be, and what a person asks to be forgotten."""

from typing import Any

import sqlalchemy as sa

from aisle.server.store import keys
from aisle.server.store.database import Store, now
from aisle.server.store.tables import feedback, pictures, promotions, reviews, shadows, skips

_DAY = 86_400_000


def prune(store: Store, days: int) -> int:
    """Delete feedback, decided reviews and shadow answers of more than `days` days ago, reviews that still
    wait included; how many rows."""
    until = now() - days * _DAY
    with store.begin() as connection:
        gone = 0
        for table in (feedback, reviews, shadows):
            gone += connection.execute(sa.delete(table).where(table.c.at < until)).rowcount
    sweep_pictures(store)
    if gone:
        store.tidy()
    return gone


def forget(store: Store, person: str) -> dict[str, int]:
    """Delete everything that carries a person's name: their feedback, the reviews they handed in, their
    skips and keys. How many rows of each."""
    with store.begin() as connection:
        gone = {
            table.name: connection.execute(sa.delete(table).where(table.c.person == person)).rowcount
            for table in (feedback, reviews, skips)
        }
        gone["keys"] = keys.forget(connection, person)
        # Which model went live when is the shop's history; by whom is not told any more.
        named = promotions.update().where(promotions.c.person == person)
        connection.execute(named.values(person=""))
        lent = reviews.update().where(reviews.c.locked_by == person)
        connection.execute(lent.values(locked_by=None, locked_until=0))
    sweep_pictures(store)
    store.tidy()
    return gone


def sweep_pictures(store: Store) -> int:
    """Delete images that nothing refers to any more; how many. An image and the first row that refers to it
    are committed together, so that one of a request under way is never among them."""
    with store.begin() as connection:
        store.lock_images(connection, alone=True)
        used: set[str] = set()
        for table in (feedback, reviews):
            for (names,) in connection.execute(sa.select(table.c.pictures)):
                used.update(names)
        there = set(connection.scalars(sa.select(pictures.c.hash)))
        unused: Any = sorted(there - used)
        for start in range(0, len(unused), 500):
            connection.execute(sa.delete(pictures).where(pictures.c.hash.in_(unused[start : start + 500])))
        return len(unused)
