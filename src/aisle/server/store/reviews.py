"""The review queue: products that people decide, in order of expected gain.

The expected gain of a review is the chance that the prediction is wrong times the product's priority. An item
is leased to one person at a time. Some items are decided by two people, who do not see each other's choice.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from aisle.server.errors import ApiError
from aisle.server.store.database import ServerStore, now
from aisle.server.store.feedback import HOW, FeedbackEvent, add_images, find_repeated, insert
from aisle.server.store.tables import discards, feedback, reviews, skips
from aisle.taxonomy import DELIMITER

_MINUTE = 60_000
_DAY = 86_400_000
LEASE_MINUTES = 5
_UNDO_DEPTH = 1000  # actions among which the last one that is not undone is found


@dataclass(frozen=True)
class ReviewEntry:
    """A product to be queued; `prediction` as JSON, `images` as hashes of stored ones."""

    person: str
    product_id: str
    fields: Mapping[str, str]
    images: Sequence[str]
    prediction: Mapping[str, Any]
    model: str
    priority: float = 1.0
    label: str = ""
    note: str = ""
    missing_images: Sequence[Mapping[str, Any]] = ()

    def row(self, double_review_rate: float) -> dict[str, Any]:
        """The row of the table. Whether two people decide it follows from a hash of the product."""
        content = f"{self.product_id}\0{sorted(self.fields.items())}".encode()
        draw = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) / 2**64
        return {
            **self.__dict__,
            "fields": dict(self.fields),
            "images": list(self.images),
            "missing_images": [dict(missing) for missing in self.missing_images],
            "at": now(),
            "expected_gain": (1 - self.prediction["confidence"][-1]) * self.priority,
            "title": self.fields.get("title", ""),
            "best": self.prediction["best"],
            "confidence": self.prediction["confidence"][-1],
            "flagged": False,
            "needed": 2 if draw < double_review_rate else 1,
        }


QueueOrder = Literal["gain", "least-confident", "most-confident", "oldest", "newest"]
_ORDERS: dict[QueueOrder, Any] = {
    "gain": reviews.c.expected_gain.desc(),
    "least-confident": reviews.c.confidence,
    "most-confident": reviews.c.confidence.desc(),
    "oldest": reviews.c.at,
    "newest": reviews.c.at.desc(),
}


@dataclass(frozen=True)
class QueueFilter:
    """Which items of the queue, and in which order; None: whatever it is.

    Attributes:
        query: A part of the title, without case.
        branch: The path of a category, `A > B`: predictions at or below it.
        min_confidence: Of the predicted path.
        max_confidence: Of the predicted path.
        queued_by: Who queued the item.
        flagged: Whether it is flagged.
        order: `gain`: highest expected gain first.
    """

    query: str | None = None
    branch: str | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    queued_by: str | None = None
    flagged: bool | None = None
    order: QueueOrder = "gain"

    def conditions(self) -> list[Any]:
        """The conditions on rows of the table."""
        found: list[Any] = []
        if self.query:
            found.append(sa.func.lower(reviews.c.title).contains(self.query.lower(), autoescape=True))
        if self.branch:
            below = reviews.c.best.startswith(self.branch + DELIMITER, autoescape=True)
            found.append((reviews.c.best == self.branch) | below)
        if self.min_confidence is not None:
            found.append(reviews.c.confidence >= self.min_confidence)
        if self.max_confidence is not None:
            found.append(reviews.c.confidence <= self.max_confidence)
        if self.queued_by:
            found.append(reviews.c.person == self.queued_by)
        if self.flagged is not None:
            found.append(reviews.c.flagged == self.flagged)
        return found


def enqueue(
    store: ServerStore,
    entries: Sequence[ReviewEntry],
    double_review_rate: float,
    images: Mapping[str, bytes] | None = None,
) -> list[int]:
    """Queue products. An untouched item of the same product and person is replaced.

    Args:
        store: The store.
        entries: The products.
        double_review_rate: The share that two people decide.
        images: Thumbnails by hash, stored in the same transaction.

    Returns:
        The items' ids, in order.
    """
    with store.begin() as connection:
        add_images(store, connection, images or {})
        return [_enqueue(connection, entry, double_review_rate) for entry in entries]


def _enqueue(connection: sa.Connection, entry: ReviewEntry, double_review_rate: float) -> int:
    row = entry.row(double_review_rate)
    same = (reviews.c.product_id == entry.product_id) & (reviews.c.person == entry.person)
    untouched = (reviews.c.state == "open") & (reviews.c.decided == 0) & (reviews.c.leased_until < now())
    if entry.product_id:
        queued = connection.scalar(sa.select(reviews.c.id).where(same, untouched).limit(1))
        if queued is not None:
            people_set = {"flagged"} if row["note"] else {"flagged", "note"}
            values = {name: value for name, value in row.items() if name not in people_set}
            connection.execute(reviews.update().where(reviews.c.id == queued).values(values))
            return queued
    row |= {"state": "open", "decided": 0, "leased_until": 0}
    return connection.execute(reviews.insert().values(row)).inserted_primary_key[0]  # type: ignore[index]


def lease(
    store: ServerStore,
    person: str,
    count: int = 1,
    minutes: int = LEASE_MINUTES,
    where: QueueFilter | None = None,
) -> list[dict[str, Any]]:
    """Lease the first items of the queue that this person may decide, and has not skipped.

    Items that the person holds already are among them.

    Args:
        store: The store.
        person: Who leases them.
        count: At most so many.
        minutes: For how long.
        where: Which items, in which order; by default all, the highest expected gain first.
    """
    where = where or QueueFilter()
    with store.begin() as connection:
        order = (_ORDERS[where.order], reviews.c.id)
        query = sa.select(reviews).where(*_available(person), *where.conditions()).order_by(*order)
        query = query.limit(count).with_for_update(skip_locked=True)
        rows = [dict(row._mapping) for row in connection.execute(query)]
        leased = _lease(connection, [row["id"] for row in rows], person, minutes)
        return [row | leased for row in rows]


def count_available(store: ServerStore, person: str, where: QueueFilter) -> int:
    """How many items of the queue this person may decide."""
    query = sa.select(sa.func.count()).where(*_available(person), *where.conditions())
    with store.read() as connection:
        return connection.scalar(query.select_from(reviews)) or 0


def renew(store: ServerStore, person: str, ids: Sequence[int], minutes: int = LEASE_MINUTES) -> list[int]:
    """Extend leases of this person, also ended ones if nobody took the item since.

    Returns:
        Which of the items the person holds now, in order.
    """
    with store.begin() as connection:
        query = sa.select(reviews.c.id).where(reviews.c.id.in_(ids), *_available(person))
        renewed = set(connection.scalars(query.with_for_update(skip_locked=True)))
        _lease(connection, renewed, person, minutes)
    return [item_id for item_id in dict.fromkeys(ids) if item_id in renewed]


def _available(person: str) -> tuple[Any, ...]:
    return (
        reviews.c.state == "open",
        (reviews.c.leased_until < now()) | (reviews.c.leased_by == person),
        ~_decided_by(person),
        ~sa.exists().where(skips.c.review_id == reviews.c.id, skips.c.person == person),
    )


def _lease(connection: sa.Connection, ids: Any, person: str, minutes: int) -> dict[str, Any]:
    leased = {"leased_by": person, "leased_until": now() + minutes * _MINUTE}
    connection.execute(reviews.update().where(reviews.c.id.in_(ids)).values(leased))
    return leased


def release(store: ServerStore, person: str, ids: Sequence[int] | None = None) -> int:
    """End leases of this person: of these items, or of all.

    Returns:
        How many.
    """
    leased = (reviews.c.leased_by == person) & (reviews.c.leased_until >= now())
    if ids is not None:
        leased &= reviews.c.id.in_(ids)
    with store.begin() as connection:
        return connection.execute(
            reviews.update().where(leased).values(leased_by=None, leased_until=0)
        ).rowcount


def get(store: ServerStore, item_id: int) -> dict[str, Any]:
    """One item.

    Raises:
        ApiError: There is none of this id.
    """
    with store.read() as connection:
        return _row(connection, item_id)


def decide(store: ServerStore, item_id: int, event: FeedbackEvent) -> tuple[int, bool]:
    """Store a person's choice for an item.

    Returns:
        The feedback's id, and whether it was stored before.

    Raises:
        ApiError: There is no such item, another person holds it, it is decided, or it has changed.
    """
    with store.begin() as connection:
        before = find_repeated(connection, event)
        if before is not None:
            return before, True
        row = _check_decidable(connection, item_id, event.person)
        current = (event.fields, list(event.images), event.suggested[0][0] if event.suggested else None)
        if current != (row["fields"], list(row["images"]), row["prediction"]["best_id"]):
            raise ApiError(409, "stale_suggestion", f"item {item_id} has just changed: look at it again")
        decided = row["decided"] + 1
        state = "done" if decided >= row["needed"] else "open"
        change = reviews.update().where(reviews.c.id == item_id)
        connection.execute(change.values(decided=decided, state=state, leased_by=None, leased_until=0))
        return insert(connection, replace(event, review_id=item_id)), False


def check(store: ServerStore, item_id: int, person: str) -> None:
    """Whether this person may decide an item now. Read-only.

    Raises:
        ApiError: As `decide`.
    """
    with store.read() as connection:
        _check_decidable(connection, item_id, person, lock=False)


def skip(store: ServerStore, item_id: int, person: str) -> None:
    """Leave an item to others.

    Raises:
        ApiError: There is no such item.
    """
    with store.begin() as connection:
        row = _row(connection, item_id, lock=True)
        connection.execute(skips.delete().where(_skip_of(item_id, person)))
        connection.execute(skips.insert().values(review_id=item_id, person=person, at=now()))
        if row["leased_by"] == person:
            change = reviews.update().where(reviews.c.id == item_id)
            connection.execute(change.values(leased_by=None, leased_until=0))


def discard(store: ServerStore, item_id: int, person: str) -> None:
    """Take an item out of the queue without a decision.

    Raises:
        ApiError: As `decide`.
    """
    with store.begin() as connection:
        _check_decidable(connection, item_id, person)
        change = reviews.update().where(reviews.c.id == item_id)
        connection.execute(change.values(state="discarded", leased_by=None, leased_until=0))
        connection.execute(discards.delete().where(discards.c.review_id == item_id))
        connection.execute(discards.insert().values(review_id=item_id, person=person, at=now()))


def annotate(store: ServerStore, item_id: int, note: str | None, flagged: bool | None) -> dict[str, Any]:
    """Set the note or the flag of an item; None leaves it as it is.

    Raises:
        ApiError: There is no such item.
    """
    change = {"note": note, "flagged": flagged}
    values = {name: value for name, value in change.items() if value is not None}
    with store.begin() as connection:
        _row(connection, item_id, lock=True)
        if values:
            connection.execute(reviews.update().where(reviews.c.id == item_id).values(values))
        return _row(connection, item_id)


class ReviewAction(NamedTuple):
    """What a person did with an item: `decided`, `skipped` or `discarded`.

    Attributes:
        kind: What was done.
        item_id: The item.
        at: When.
        title: The title of the product.
        feedback_id: The stored choice of a decision.
        chosen: The path that was chosen.
        undone: Whether the decision was undone.
    """

    kind: Literal["decided", "skipped", "discarded"]
    item_id: int
    at: int
    title: str
    feedback_id: int | None = None
    chosen: tuple[str, ...] = ()
    undone: bool = False


def history(store: ServerStore, person: str, limit: int = 50) -> list[ReviewAction]:
    """What a person did, the latest first; undone decisions are marked, undone skips are gone."""
    with store.read() as connection:
        return _actions(connection, person, None, limit)


def undo(store: ServerStore, person: str, item_id: int | None = None) -> dict[str, Any]:
    """Undo what this person did last with an item, and lease it to them unless somebody else holds it.

    Args:
        store: The store.
        person: Who.
        item_id: The item; None: the last one that they decided, skipped or discarded.

    Raises:
        ApiError: There is nothing to undo.
    """
    with store.begin() as connection:
        actions = [one for one in _actions(connection, person, item_id, _UNDO_DEPTH) if not one.undone]
        if not actions:
            raise ApiError(409, "nothing_to_undo", "there is nothing to take back")
        last = actions[0]
        row = _row(connection, last.item_id, lock=True)
        change: dict[str, Any] = {}
        if last.kind == "skipped":
            connection.execute(skips.delete().where(_skip_of(last.item_id, person)))
        elif last.kind == "discarded":
            connection.execute(discards.delete().where(discards.c.review_id == last.item_id))
            change = {"state": "open"}
        else:
            connection.execute(feedback.update().where(feedback.c.id == last.feedback_id).values(undone=True))
            change = {"decided": reviews.c.decided - 1, "state": "open"}
        elsewhere = row["leased_until"] >= now() and row["leased_by"] != person
        if change:
            connection.execute(reviews.update().where(reviews.c.id == last.item_id).values(change))
        if not elsewhere and {**row, **change}["state"] == "open":
            _lease(connection, [last.item_id], person, LEASE_MINUTES)
        return _row(connection, last.item_id)


def _actions(connection: sa.Connection, person: str, item_id: int | None, limit: int) -> list[ReviewAction]:
    """What a person did, with one item or with all, the latest first."""

    def latest(table: sa.Table, *columns: Any) -> Any:
        query = sa.select(table.c.review_id, table.c.at, reviews.c.title, *columns)
        query = query.join(reviews, reviews.c.id == table.c.review_id).where(table.c.person == person)
        query = query if item_id is None else query.where(table.c.review_id == item_id)
        order = [table.c.at.desc(), *(column.desc() for column in columns[:1])]
        return connection.execute(query.order_by(*order).limit(limit))

    chosen = latest(feedback, feedback.c.id, feedback.c.chosen, feedback.c.undone)
    actions = [
        ReviewAction("decided", item, at, title, feedback_id, tuple(path), undone)
        for item, at, title, feedback_id, path, undone in chosen
    ]
    actions += [ReviewAction("skipped", item, at, title) for item, at, title in latest(skips)]
    actions += [ReviewAction("discarded", item, at, title) for item, at, title in latest(discards)]
    return sorted(actions, key=lambda one: (one.at, one.feedback_id or 0), reverse=True)[:limit]


def of_product(store: ServerStore, product_id: str, limit: int = 20) -> list[dict[str, Any]]:
    """A product's items, the latest first."""
    query = sa.select(reviews).where(reviews.c.product_id == product_id)
    with store.read() as connection:
        rows = connection.execute(query.order_by(reviews.c.id.desc()).limit(limit))
        return [dict(row._mapping) for row in rows]


# -- progress -----------------------------------------------------------------------------------------


def progress(store: ServerStore, person: str) -> dict[str, Any]:
    """Counts of open and decided items, what each person did, acceptance and agreement, as JSON."""
    with store.read() as connection:
        states = sa.select(reviews.c.state, sa.func.count()).group_by(reviews.c.state)
        by_state = dict(connection.execute(states).tuples().all())
        leased = sa.select(sa.func.count()).where(reviews.c.state == "open", reviews.c.leased_until >= now())
        decided = sa.select(feedback.c.person, feedback.c.how, sa.func.count())
        decided = decided.where(feedback.c.review_id.is_not(None), ~feedback.c.undone)
        people: dict[str, Counter[str]] = defaultdict(Counter)
        for name, how, count in connection.execute(decided.group_by(feedback.c.person, feedback.c.how)):
            people[name][how] += count
        skipped = sa.select(sa.func.count()).where(skips.c.person == person)
        counts = {
            "open": by_state.get("open", 0),
            "done": by_state.get("done", 0),
            "leased": connection.scalar(leased) or 0,
            "skipped_by_you": connection.scalar(skipped) or 0,
        }
        decisions = _double_decisions(connection)
    total = sum(people.values(), Counter())
    return {
        **counts,
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
        "agreement": agreement([[choice for _, choice in item] for item in decisions]),
        "by_pair": by_pair(decisions),
        "disagreements": disagreements(decisions),
    }


def acceptance(tally: Mapping[str, int]) -> float | None:
    """The share of first suggestions among choices made one by one; batches do not count."""
    looked = tally.get("accepted", 0) + tally.get("chosen", 0)
    return tally.get("accepted", 0) / looked if looked else None


def agreement(choices: Sequence[Sequence[str]]) -> dict[str, Any]:
    """How well people agree, from the choices for each item.

    Returns:
        `pairs` of choices for one item; `rate`, the share that agree; `scotts_pi`, the same corrected for
        chance (Scott 1955).
    """
    pairs = [pair for item in choices for pair in combinations(item, 2)]
    if not pairs:
        return {"pairs": 0, "rate": None, "scotts_pi": None}
    rate = sum(a == b for a, b in pairs) / len(pairs)
    shares = Counter(choice for pair in pairs for choice in pair)
    chance = sum((n / (2 * len(pairs))) ** 2 for n in shares.values())
    pi = (rate - chance) / (1 - chance) if chance < 1 else None
    return {"pairs": len(pairs), "rate": rate, "scotts_pi": pi}


def by_pair(decisions: Sequence[Sequence[tuple[str, str]]]) -> list[dict[str, Any]]:
    """How often each two people agree, from (person, choice) for each item.

    Returns:
        `people`, in alphabetical order; `items` that both decided; `agreed` on how many.
    """
    items, agreed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for item in decisions:
        for (one, choice), (other, other_choice) in combinations(sorted(item), 2):
            items[one, other] += 1
            agreed[one, other] += choice == other_choice
    return [
        {"people": list(people), "items": count, "agreed": agreed[people]}
        for people, count in sorted(items.items())
    ]


def disagreements(decisions: Sequence[Sequence[tuple[str, str]]], most: int = 20) -> list[dict[str, Any]]:
    """The two categories that people choose for one item, the most frequent first."""
    pairs = Counter[tuple[str, str]]()
    for item in decisions:
        for (_, one), (_, other) in combinations(item, 2):
            if one != other:
                pairs[min(one, other), max(one, other)] += 1
    ordered = sorted(pairs.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"categories": list(pair), "items": count} for pair, count in ordered[:most]]


def _double_decisions(connection: sa.Connection) -> list[list[tuple[str, str]]]:
    """(person, id of the choice) of items that several people decided one by one."""
    several = sa.select(reviews.c.id).where(reviews.c.decided >= 2)
    query = sa.select(feedback.c.review_id, feedback.c.person, feedback.c.chosen_id).where(
        feedback.c.review_id.in_(several), ~feedback.c.undone, feedback.c.how != "batch"
    )
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for item_id, person, chosen in connection.execute(query.order_by(feedback.c.id)):
        found[item_id].append((person, chosen))
    return list(found.values())


def by_day(store: ServerStore, days: int, model: str | None = None) -> list[dict[str, Any]]:
    """Choices by kind and acceptance, for each UTC day with choices, as JSON."""
    day = (feedback.c.at // _DAY).label("day")
    query = sa.select(day, feedback.c.how, sa.func.count())
    query = query.where(~feedback.c.undone, feedback.c.at >= now() - days * _DAY)
    if model is not None:
        query = query.where(feedback.c.model == model)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    with store.read() as connection:
        for number, how, count in connection.execute(query.group_by(day, feedback.c.how)):
            counts[number][how] += count
    return [
        {"day": number * _DAY, **{how: tally[how] for how in HOW}, "acceptance": acceptance(tally)}
        for number, tally in sorted(counts.items())
    ]


# -- helpers ------------------------------------------------------------------------------------------


def _row(connection: sa.Connection, item_id: int, lock: bool = False) -> dict[str, Any]:
    query = sa.select(reviews).where(reviews.c.id == item_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise ApiError(404, "no_such_item", f"there is no item {item_id} in the review queue")
    return dict(row._mapping)


def _check_decidable(
    connection: sa.Connection, item_id: int, person: str, lock: bool = True
) -> dict[str, Any]:
    row = _row(connection, item_id, lock)
    if row["leased_until"] >= now() and row["leased_by"] != person:
        raise ApiError(409, "leased", f"{row['leased_by']} is looking at item {item_id} just now")
    if row["state"] != "open":
        raise ApiError(409, "decided", f"item {item_id} is decided already")
    if connection.scalar(sa.select(_decided_by(person)).where(reviews.c.id == item_id)):
        raise ApiError(409, "decided", f"you have decided item {item_id} already; undo it first")
    return row


def _skip_of(item_id: int, person: str) -> Any:
    return (skips.c.review_id == item_id) & (skips.c.person == person)


def _decided_by(person: str) -> Any:
    of_item = feedback.c.review_id == reviews.c.id
    return sa.exists().where(of_item, feedback.c.person == person, ~feedback.c.undone)
