"""The queue of products that people should look at, the most worthwhile first.

The value of a look is what a wrong answer would cost (the product's `worth`) times how likely it is. An item
is lent to one person at a time; some are looked at by two, who never see each other's choice.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import sqlalchemy as sa

from aisle.server.problems import ApiError
from aisle.server.store.database import Store, now
from aisle.server.store.feedback import HOW, Event, insert, keep_images, repeated
from aisle.server.store.tables import feedback, reviews, skips

MINUTE = 60_000
DAY = 86_400_000
LEASE = 5  # minutes that an item is lent for, unless asked otherwise


@dataclass(frozen=True)
class Entry:
    """A product to be looked at. prediction: as JSON. pictures: hashes of kept ones. missing_images: those
    given that could not be read, with the reason."""

    person: str
    product_id: str
    fields: Mapping[str, str]
    pictures: Sequence[str]
    prediction: Mapping[str, Any]
    model: str
    worth: float = 1.0
    missing_images: Sequence[Mapping[str, Any]] = ()

    @property
    def value(self) -> float:
        """What a look is expected to gain."""
        return (1 - self.prediction["confidence"][-1]) * self.worth


def enqueue(
    store: Store, entries: Sequence[Entry], double: float, images: Mapping[str, bytes] | None = None
) -> list[int]:
    """Put products into the queue; one that waits there untouched is renewed. Their numbers, in order.

    double: the share that two people look at, drawn by what the product is. images: small copies by hash,
    committed with the products.
    """
    with store.begin() as connection:
        keep_images(store, connection, images or {})
        return [_put(connection, entry, double) for entry in entries]


def _put(connection: sa.Connection, entry: Entry, double: float) -> int:
    drawn = hashlib.blake2b(f"{entry.product_id}\0{sorted(entry.fields.items())}".encode(), digest_size=8)
    twice = int.from_bytes(drawn.digest()) < double * 2**64
    row = {
        **entry.__dict__,
        "fields": dict(entry.fields),
        "pictures": list(entry.pictures),
        "missing_images": [dict(one) for one in entry.missing_images],
        "at": now(),
        "value": entry.value,
        "needed": 2 if twice else 1,
    }
    mine = (reviews.c.product_id == entry.product_id) & (reviews.c.person == entry.person)
    untouched = (reviews.c.state == "open") & (reviews.c.decided == 0) & (reviews.c.locked_until < now())
    waiting = None
    if entry.product_id:
        waiting = connection.scalar(sa.select(reviews.c.id).where(mine, untouched).limit(1))
    if waiting is not None:
        connection.execute(reviews.update().where(reviews.c.id == waiting).values(row))
        return waiting
    row |= {"state": "open", "decided": 0, "locked_until": 0}
    return connection.execute(reviews.insert().values(row)).inserted_primary_key[0]  # type: ignore[index]


def take(store: Store, person: str, count: int = 1, minutes: int = LEASE) -> list[dict[str, Any]]:
    """Lend this person the most valuable items that nobody else holds and that they have neither decided
    nor skipped; those they hold already come again."""
    with store.begin() as connection:
        wanted = (
            sa.select(reviews)
            .where(
                reviews.c.state == "open",
                (reviews.c.locked_until < now()) | (reviews.c.locked_by == person),
                ~_decided_by(person),
                ~_skipped_by(person),
            )
            .order_by(reviews.c.value.desc(), reviews.c.id)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        rows = [dict(row._mapping) for row in connection.execute(wanted)]
        until = now() + minutes * MINUTE
        mine = reviews.c.id.in_([row["id"] for row in rows])
        connection.execute(reviews.update().where(mine).values(locked_by=person, locked_until=until))
        return [{**row, "locked_by": person, "locked_until": until} for row in rows]


def renew(store: Store, person: str, numbers: Sequence[int], minutes: int = LEASE) -> list[int]:
    """Lend items for longer to the person who holds them, or held them and nobody took them since: which of
    these they hold now, in order."""
    with store.begin() as connection:
        wanted = sa.select(reviews.c.id).where(
            reviews.c.id.in_(numbers),
            reviews.c.state == "open",
            (reviews.c.locked_until < now()) | (reviews.c.locked_by == person),
            ~_decided_by(person),
            ~_skipped_by(person),
        )
        held = set(connection.scalars(wanted.with_for_update(skip_locked=True)))
        until = now() + minutes * MINUTE
        mine = reviews.update().where(reviews.c.id.in_(held))
        connection.execute(mine.values(locked_by=person, locked_until=until))
    return [number for number in dict.fromkeys(numbers) if number in held]


def release(store: Store, person: str, numbers: Sequence[int] | None = None) -> int:
    """Give items back that this person holds: these, or all of them; how many."""
    mine = (reviews.c.locked_by == person) & (reviews.c.locked_until >= now())
    if numbers is not None:
        mine &= reviews.c.id.in_(numbers)
    with store.begin() as connection:
        freed = reviews.update().where(mine).values(locked_by=None, locked_until=0)
        return connection.execute(freed).rowcount


def get(store: Store, number: int) -> dict[str, Any]:
    """One item.

    Raises:
        ApiError: there is none of this number.
    """
    with store.read() as connection:
        return _row(connection, number)


def decide(store: Store, number: int, event: Event) -> tuple[int, bool]:
    """A person's choice on an item: (the feedback's number, whether it was there before).

    Raises:
        ApiError: no such item, it is someone else's just now, or it is decided already.
    """
    with store.begin() as connection:
        before = repeated(connection, event)
        if before is not None:
            return before, True
        row = _decidable(connection, number, event.person)
        seen = (event.fields, list(event.pictures), event.suggested[0][0] if event.suggested else None)
        if seen != (row["fields"], list(row["pictures"]), row["prediction"]["best_id"]):
            raise ApiError(409, "stale_suggestion", f"item {number} has just changed: look at it again")
        decided = row["decided"] + 1
        state = "done" if decided >= row["needed"] else "open"
        change = reviews.update().where(reviews.c.id == number)
        connection.execute(change.values(decided=decided, state=state, locked_by=None, locked_until=0))
        return insert(connection, replace(event, review_id=number)), False


def check(store: Store, number: int, person: str) -> None:
    """Whether this person may decide an item now; nothing changes.

    Raises:
        ApiError: as `decide`.
    """
    with store.read() as connection:
        _decidable(connection, number, person, lock=False)


def skip(store: Store, number: int, person: str) -> None:
    """Leave an item to others.

    Raises:
        ApiError: there is no such item.
    """
    with store.begin() as connection:
        row = _row(connection, number, lock=True)
        mine = (skips.c.review_id == number) & (skips.c.person == person)
        connection.execute(skips.delete().where(mine))
        connection.execute(skips.insert().values(review_id=number, person=person, at=now()))
        if row["locked_by"] == person:
            _free(connection, number)


def undo(store: Store, person: str) -> dict[str, Any]:
    """Take back this person's last decision or skip; the item is lent to them again, unless someone else is
    looking at it just now: it stays with them.

    Raises:
        ApiError: there is nothing to take back.
    """
    with store.begin() as connection:
        said = connection.execute(
            sa.select(feedback.c.id, feedback.c.at, feedback.c.review_id)
            .where(feedback.c.person == person, feedback.c.review_id.is_not(None), ~feedback.c.undone)
            .order_by(feedback.c.id.desc())
            .limit(1)
        ).first()
        skipped = connection.execute(
            sa.select(skips).where(skips.c.person == person).order_by(skips.c.at.desc()).limit(1)
        ).first()
        if said is None and skipped is None:
            raise ApiError(409, "nothing_to_undo", "there is nothing to take back")
        if skipped is not None and (said is None or skipped.at > said.at):
            number = skipped.review_id
            mine = (skips.c.review_id == number) & (skips.c.person == person)
            connection.execute(skips.delete().where(mine))
            row = _row(connection, number, lock=True)
            change: dict[str, Any] = {}
        else:
            assert said is not None
            number = said.review_id
            row = _row(connection, number, lock=True)
            connection.execute(feedback.update().where(feedback.c.id == said.id).values(undone=True))
            change = {"decided": reviews.c.decided - 1, "state": "open"}
        elsewhere = row["locked_until"] >= now() and row["locked_by"] != person
        if not elsewhere and {**row, **change}["state"] == "open":
            change |= {"locked_by": person, "locked_until": now() + LEASE * MINUTE}
        if change:
            connection.execute(reviews.update().where(reviews.c.id == number).values(change))
        return _row(connection, number)


def of_product(store: Store, product_id: str, most: int = 20) -> list[dict[str, Any]]:
    """A product's items, the latest first."""
    wanted = sa.select(reviews).where(reviews.c.product_id == product_id)
    with store.read() as connection:
        rows = connection.execute(wanted.order_by(reviews.c.id.desc()).limit(most))
        return [dict(row._mapping) for row in rows]


# -- how it goes --------------------------------------------------------------------------------------


def progress(store: Store, person: str) -> dict[str, Any]:
    """How many items wait and are done, what each person did, how often the first suggestion was taken, and
    how well two people agree."""
    with store.read() as connection:
        states = sa.select(reviews.c.state, sa.func.count()).group_by(reviews.c.state)
        by_state = dict(connection.execute(states).tuples().all())
        held = sa.select(sa.func.count()).where(reviews.c.state == "open", reviews.c.locked_until >= now())
        lent = connection.scalar(held) or 0
        said = sa.select(feedback.c.person, feedback.c.how, sa.func.count())
        counted = said.where(feedback.c.review_id.is_not(None), ~feedback.c.undone)
        people: dict[str, Counter[str]] = defaultdict(Counter)
        for name, how, number in connection.execute(counted.group_by(feedback.c.person, feedback.c.how)):
            people[name][how] += number
        mine = sa.select(sa.func.count()).where(skips.c.person == person)
        skipped = connection.scalar(mine) or 0
        twice = _double_decisions(connection)
    total = sum((tally for tally in people.values()), Counter())
    return {
        "open": by_state.get("open", 0),
        "done": by_state.get("done", 0),
        "lent": lent,
        "skipped_by_you": skipped,
        "batch": total["batch"],
        "acceptance": acceptance(total),
        "people": [
            {
                "person": name,
                "decided": sum(tally.values()),
                "batch": tally["batch"],
                "acceptance": acceptance(tally),
            }
            for name, tally in sorted(people.items())
        ],
        "agreement": agreement(twice),
    }


def acceptance(tally: Mapping[str, int]) -> float | None:
    """The share of choices, made by people who looked at that very product, that are the first suggestion:
    what was accepted in a batch does not count."""
    looked = tally.get("accepted", 0) + tally.get("chosen", 0)
    return tally.get("accepted", 0) / looked if looked else None


def agreement(choices: Sequence[Sequence[str]]) -> dict[str, Any]:
    """choices: of each item, what its reviewers chose. `rate`: of pairs on one item, those that are alike;
    `beyond_chance`: the same against what the choices' frequencies alone would give (Scott's pi)."""
    pairs = [pair for item in choices for pair in combinations(item, 2)]
    if not pairs:
        return {"pairs": 0, "rate": None, "beyond_chance": None}
    rate = sum(a == b for a, b in pairs) / len(pairs)
    shares = Counter(choice for pair in pairs for choice in pair)
    chance = sum((n / (2 * len(pairs))) ** 2 for n in shares.values())
    beyond = (rate - chance) / (1 - chance) if chance < 1 else None
    return {"pairs": len(pairs), "rate": rate, "beyond_chance": beyond}


def _double_decisions(connection: sa.Connection) -> list[list[str]]:
    several = sa.select(reviews.c.id).where(reviews.c.decided >= 2)
    said = sa.select(feedback.c.review_id, feedback.c.chosen_id)
    found: dict[int, list[str]] = defaultdict(list)
    for number, chosen in connection.execute(
        said.where(feedback.c.review_id.in_(several), ~feedback.c.undone, feedback.c.how != "batch").order_by(
            feedback.c.id
        )
    ):
        found[number].append(chosen)
    return list(found.values())


def by_day(store: Store, days: int, model: str | None = None) -> list[dict[str, Any]]:
    """For each UTC day with choices, how many of each `how`, and the acceptance."""
    day = (feedback.c.at // DAY).label("day")
    said = sa.select(day, feedback.c.how, sa.func.count()).where(
        ~feedback.c.undone, feedback.c.at >= now() - days * DAY
    )
    if model is not None:
        said = said.where(feedback.c.model == model)
    found: dict[int, Counter[str]] = defaultdict(Counter)
    with store.read() as connection:
        for number, how, count in connection.execute(said.group_by(day, feedback.c.how)):
            found[number][how] += count
    return [
        {"day": number * DAY, **{how: tally[how] for how in HOW}, "acceptance": acceptance(tally)}
        for number, tally in sorted(found.items())
    ]


# -- parts --------------------------------------------------------------------------------------------


def _row(connection: sa.Connection, number: int, lock: bool = False) -> dict[str, Any]:
    wanted = sa.select(reviews).where(reviews.c.id == number)
    row = connection.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise ApiError(404, "no_such_item", f"there is no item {number} in the review queue")
    return dict(row._mapping)


def _decidable(connection: sa.Connection, number: int, person: str, lock: bool = True) -> dict[str, Any]:
    row = _row(connection, number, lock)
    if row["locked_until"] >= now() and row["locked_by"] != person:
        raise ApiError(409, "lent", f"{row['locked_by']} is looking at item {number} just now")
    if row["state"] != "open":
        raise ApiError(409, "decided", f"item {number} is decided already")
    if connection.scalar(sa.select(_decided_by(person)).where(reviews.c.id == number)):
        raise ApiError(409, "decided", f"you have decided item {number} already; undo it first")
    return row


def _free(connection: sa.Connection, number: int) -> None:
    connection.execute(reviews.update().where(reviews.c.id == number).values(locked_by=None, locked_until=0))


def _skipped_by(person: str) -> Any:
    return sa.exists().where(skips.c.review_id == reviews.c.id, skips.c.person == person)


def _decided_by(person: str) -> Any:
    said = feedback.c.review_id == reviews.c.id
    return sa.exists().where(said, feedback.c.person == person, ~feedback.c.undone)
