"""Where people said that products belong: kept, repeated posts counted once, exported to learn from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from aisle.data import feedback_export
from aisle.server.problems import ApiError
from aisle.server.store.database import Store, StoreError, now
from aisle.server.store.tables import feedback, pictures

_RANK = {"seller": 0, "reviewer": 1, "admin": 1}
_CERTAIN = {"default": 0, "batch": 1, "accepted": 2, "chosen": 2}
HOW = ("chosen", "accepted", "batch", "default")


@dataclass(frozen=True)
class Event:
    """A person's word on one product. suggested: (node id, confidence), best first; chosen: the path.
    pictures: hashes of kept images. missing_images: those given that could not be read, with the reason.
    request_key: repeated posts carry the same."""

    person: str
    role: str
    product_id: str
    fields: dict[str, str]
    chosen_id: str
    chosen: tuple[str, ...]
    how: str
    model: str
    model_id: str
    suggested: Sequence[tuple[str, float | None]] = ()
    pictures: Sequence[str] = ()
    missing_images: Sequence[Mapping[str, Any]] = ()
    request_key: str | None = None
    review_id: int | None = None
    at: int = field(default_factory=now)

    def row(self) -> dict[str, Any]:
        """As the table holds it."""
        data = dict(self.__dict__)
        data["chosen"], data["pictures"] = list(self.chosen), list(self.pictures)
        data["missing_images"] = [dict(one) for one in self.missing_images]
        data["suggested"] = [list(pair) for pair in self.suggested]
        return data


def add(store: Store, event: Event, images: Mapping[str, bytes] | None = None) -> tuple[int, bool]:
    """Commit one event: (its number, whether it was there before under the same request key). images: small
    copies by hash, kept in the same transaction, so that no sweep finds them without the row.

    Raises:
        ApiError: the request key was used for something else.
        StoreError: it is not on disk.
    """
    try:
        with store.begin() as connection:
            before = repeated(connection, event)
            if before is not None:
                return before, True
            keep_images(store, connection, images or {})
            return insert(connection, event), False
    except IntegrityError as error:  # the same post, twice at one moment
        with store.begin() as connection:
            before = repeated(connection, event)
        if before is None:
            raise StoreError(f"the store refuses: {error.orig}") from error
        return before, True


def repeated(connection: sa.Connection, event: Event) -> int | None:
    """The number of the event that this person sent under this request key before; None: there is none.

    Raises:
        ApiError: it says something else.
    """
    if event.request_key is None:
        return None
    same = (feedback.c.person == event.person) & (feedback.c.request_key == event.request_key)
    columns = (feedback.c.id, feedback.c.product_id, feedback.c.chosen_id)
    found = connection.execute(sa.select(*columns).where(same)).first()
    if found is None:
        return None
    if (found.product_id, found.chosen_id) != (event.product_id, event.chosen_id):
        message = f"this Idempotency-Key was used for feedback {found.id}, which says something else"
        raise ApiError(409, "key_reused", message)
    return found.id


def insert(connection: sa.Connection, event: Event) -> int:
    """Add an event within a transaction."""
    row = {**event.row(), "undone": False}
    return connection.execute(feedback.insert().values(row)).inserted_primary_key[0]  # type: ignore[index]


def keep_images(store: Store, connection: sa.Connection, images: Mapping[str, bytes]) -> None:
    """Keep images by their hashes, within the transaction that adds the row that refers to them."""
    if not images:
        return
    store.lock_images(connection, alone=False)
    there = set(connection.scalars(sa.select(pictures.c.hash).where(pictures.c.hash.in_(images))))
    rows = [{"hash": name, "data": data} for name, data in images.items() if name not in there]
    if not rows:
        return
    if store.is_sqlite:
        connection.execute(pictures.insert(), rows)
    else:  # someone else may keep the same at this moment
        connection.execute(postgresql.insert(pictures).on_conflict_do_nothing(), rows)


def picture(store: Store, name: str) -> bytes | None:
    """A kept picture's JPEG; None if there is none."""
    with store.read() as connection:
        return connection.scalar(sa.select(pictures.c.data).where(pictures.c.hash == name))


def of_product(store: Store, product_id: str, most: int = 100) -> list[dict[str, Any]]:
    """What was said of a product, the latest first."""
    wanted = sa.select(feedback).where(feedback.c.product_id == product_id)
    with store.read() as connection:
        rows = connection.execute(wanted.order_by(feedback.c.id.desc()).limit(most))
        return [dict(row._mapping) for row in rows]


class Latest(NamedTuple):
    """The last word on some products, the latest first; `total`: on how many there is one."""

    rows: list[dict[str, Any]]
    total: int


def latest(store: Store, places: Sequence[str] | None, most: int) -> Latest:
    """The last word on each product that has an id; places: only those chosen there."""
    last = sa.select(sa.func.max(feedback.c.id)).where(~feedback.c.undone, feedback.c.product_id != "")
    among = feedback.c.id.in_(last.group_by(feedback.c.product_id))
    if places is not None:
        among &= feedback.c.chosen_id.in_(places)
    with store.read() as connection:
        total = connection.scalar(sa.select(sa.func.count()).where(among)) or 0
        rows = connection.execute(sa.select(feedback).where(among).order_by(feedback.c.id.desc()).limit(most))
        return Latest([dict(row._mapping) for row in rows], total)


def count(store: Store) -> int:
    """How many events there are."""
    with store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(feedback)) or 0


# -- to learn from ------------------------------------------------------------------------------------


def lessons(store: Store, default_weight: float = 0.0, since: int = 0) -> Iterator[dict[str, Any]]:
    """One row a product for `aisle train`, by product id: its last word, a reviewer's before a seller's,
    a person's before a suggestion that merely stood.

    default_weight: the `sample_weight` of rows that nobody looked at; 0: not learned from, so that a model
    does not learn its own echo. What a row says of itself, `aisle.read` takes as it is said: names are never
    guessed at, and what callers sent lies in `fields`.
    """
    wanted = sa.select(feedback).where(~feedback.c.undone, feedback.c.at >= since)
    order = (feedback.c.product_id, feedback.c.id)
    with store.read() as connection:
        rows = connection.execution_options(yield_per=1000).execute(wanted.order_by(*order))
        best: Any = None
        for row in rows:
            if best is not None and (row.product_id != best.product_id or not row.product_id):
                yield _lesson(best, default_weight)
                best = None
            if best is None or _standing(row) >= _standing(best):
                best = row
        if best is not None:
            yield _lesson(best, default_weight)


def _standing(row: Any) -> tuple[int, int]:
    return _CERTAIN[row.how], _RANK.get(row.role, 0)


def _lesson(row: Any, default_weight: float) -> dict[str, Any]:
    """What callers sent stays inside `fields`: no name of theirs can become a column's part."""
    fields = dict(row.fields)
    return {
        feedback_export.KEY: feedback_export.VERSION,
        "id": row.product_id or f"feedback-{row.id}",
        "title": fields.pop("title", ""),
        "description": fields.pop("description", ""),
        "category": row.chosen,
        "images": row.pictures,
        "missing_images": row.missing_images,
        "sample_weight": default_weight if row.how == "default" else 1.0,
        "split": "train",
        "fields": fields,
        "how": row.how,
        "role": row.role,
        "model_id": row.model_id,
        "at": datetime.fromtimestamp(row.at / 1000, UTC).isoformat(timespec="seconds"),
    }


def export(store: Store, file: Path, default_weight: float = 0.0, since: int = 0) -> dict[str, int]:
    """Write the lessons as JSON lines, their images into a folder next to it; how many of each `how`.

    Raises:
        StoreError: the file cannot be written.
    """
    from aisle.inference.prediction_files import whole_file

    folder = file.with_suffix("").with_name(f"{file.stem}-images")
    tally: dict[str, int] = dict.fromkeys(HOW, 0)
    try:
        with whole_file(file) as handle:
            for lesson in lessons(store, default_weight, since):
                names = []
                for name in lesson["images"]:
                    data = picture(store, name)
                    if data is not None:
                        folder.mkdir(exist_ok=True)
                        (folder / f"{name}.jpg").write_bytes(data)
                        names.append(f"{folder.name}/{name}.jpg")
                handle.write(json.dumps({**lesson, "images": names}, ensure_ascii=False) + "\n")
                tally[lesson["how"]] += 1
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror or error}") from error
    return tally
