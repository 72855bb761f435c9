"""Feedback: choices of people, stored once, and exported as training data."""

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
from aisle.server.errors import ApiError
from aisle.server.store.database import ServerStore, StoreError, now
from aisle.server.store.tables import feedback, image_table

HOW = ("chosen", "accepted", "batch", "default")
_CERTAINTY = {"default": 0, "batch": 1, "accepted": 2, "chosen": 2}
_RANK = {"seller": 0, "reviewer": 1, "admin": 1}


@dataclass(frozen=True)
class FeedbackEvent:
    """A person's choice for one product.

    Attributes:
        person: Who chose.
        role: Of the person's key.
        product_id: The product's id, or an empty string.
        fields: Its texts.
        chosen_id: The category's id.
        chosen: Its path.
        how: One of `HOW`.
        model: The name of the model whose suggestions were shown.
        model_id: The hash of its weights.
        suggested: (category id, confidence), best first.
        images: Hashes of stored images.
        missing_images: Images that could not be read.
        request_key: The same for repeated requests.
        review_id: The item of the review queue.
        at: UTC milliseconds since 1970.
    """

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
    images: Sequence[str] = ()
    missing_images: Sequence[Mapping[str, Any]] = ()
    request_key: str | None = None
    review_id: int | None = None
    at: int = field(default_factory=now)

    def row(self) -> dict[str, Any]:
        """The row of the table."""
        return {
            **self.__dict__,
            "chosen": list(self.chosen),
            "images": list(self.images),
            "missing_images": [dict(missing) for missing in self.missing_images],
            "suggested": [list(pair) for pair in self.suggested],
            "undone": False,
        }

    def response(self, feedback_id: int, repeated: bool) -> dict[str, Any]:
        """The API's response once it is stored."""
        return {
            "id": feedback_id,
            "how": self.how,
            "chosen": list(self.chosen),
            "repeated": repeated,
            "missing_images": [dict(missing) for missing in self.missing_images],
        }


def add(
    store: ServerStore, event: FeedbackEvent, images: Mapping[str, bytes] | None = None
) -> tuple[int, bool]:
    """Store an event.

    Args:
        store: The store.
        event: The event.
        images: Its thumbnails by hash, stored in the same transaction, so that no sweep deletes them.

    Returns:
        The event's id, and whether it was stored before under the same request key.

    Raises:
        ApiError: The request key was used for another choice.
        StoreError: It is not stored.
    """
    try:
        with store.begin() as connection:
            before = find_repeated(connection, event)
            if before is not None:
                return before, True
            add_images(store, connection, images or {})
            return insert(connection, event), False
    except IntegrityError as error:  # the same request, twice at once
        with store.begin() as connection:
            before = find_repeated(connection, event)
        if before is None:
            raise StoreError(f"the store refuses: {error.orig}") from error
        return before, True


def find_repeated(connection: sa.Connection, event: FeedbackEvent) -> int | None:
    """The id of the event that this person sent under this request key before.

    Raises:
        ApiError: It is another choice.
    """
    if event.request_key is None:
        return None
    same = (feedback.c.person == event.person) & (feedback.c.request_key == event.request_key)
    columns = (feedback.c.id, feedback.c.product_id, feedback.c.chosen_id)
    row = connection.execute(sa.select(*columns).where(same)).first()
    if row is None:
        return None
    if (row.product_id, row.chosen_id) != (event.product_id, event.chosen_id):
        message = f"this Idempotency-Key was used for feedback {row.id}, which says something else"
        raise ApiError(409, "key_reused", message)
    return row.id


def insert(connection: sa.Connection, event: FeedbackEvent) -> int:
    """Add an event within a transaction."""
    result = connection.execute(feedback.insert().values(event.row()))
    return result.inserted_primary_key[0]  # type: ignore[index]


def undo(store: ServerStore, feedback_id: int, person: str) -> None:
    """Undo a person's choice; it stays in the history as undone. Idempotent.

    Raises:
        ApiError: This person has no such feedback, or it decided an item of the review queue.
    """
    condition = (feedback.c.id == feedback_id) & (feedback.c.person == person)
    with store.begin() as connection:
        row = connection.execute(sa.select(feedback.c.review_id).where(condition)).first()
        if row is None:
            raise ApiError(404, "no_such_feedback", f"you gave no feedback {feedback_id}")
        if row.review_id is not None:
            message = f"feedback {feedback_id} decided item {row.review_id} of the queue: undo it there"
            raise ApiError(409, "of_review", message)
        connection.execute(feedback.update().where(condition).values(undone=True))


def add_images(store: ServerStore, connection: sa.Connection, images: Mapping[str, bytes]) -> None:
    """Add images by hash, within the transaction that adds the row that refers to them."""
    if not images:
        return
    store.lock_images(connection, exclusive=False)
    stored = set(connection.scalars(sa.select(image_table.c.hash).where(image_table.c.hash.in_(images))))
    rows = [{"hash": name, "data": data} for name, data in images.items() if name not in stored]
    if not rows:
        return
    if store.is_sqlite:
        connection.execute(image_table.insert(), rows)
    else:  # another transaction may add the same
        connection.execute(postgresql.insert(image_table).on_conflict_do_nothing(), rows)


def image(store: ServerStore, name: str) -> bytes | None:
    """The JPEG of a hash."""
    with store.read() as connection:
        return connection.scalar(sa.select(image_table.c.data).where(image_table.c.hash == name))


def of_product(store: ServerStore, product_id: str, limit: int = 100) -> list[dict[str, Any]]:
    """A product's feedback, the latest first."""
    query = sa.select(feedback).where(feedback.c.product_id == product_id)
    with store.read() as connection:
        rows = connection.execute(query.order_by(feedback.c.id.desc()).limit(limit))
        return [dict(row._mapping) for row in rows]


class LatestFeedback(NamedTuple):
    """The latest choice for some products, the latest first, and for how many there is one."""

    rows: list[dict[str, Any]]
    total: int


def latest(store: ServerStore, categories: Sequence[str] | None, limit: int) -> LatestFeedback:
    """The latest choice for each product with an id; `categories`: only those chosen there."""
    last = sa.select(sa.func.max(feedback.c.id)).where(~feedback.c.undone, feedback.c.product_id != "")
    among = feedback.c.id.in_(last.group_by(feedback.c.product_id))
    if categories is not None:
        among &= feedback.c.chosen_id.in_(categories)
    with store.read() as connection:
        total = connection.scalar(sa.select(sa.func.count()).where(among)) or 0
        rows = connection.execute(
            sa.select(feedback).where(among).order_by(feedback.c.id.desc()).limit(limit)
        )
        return LatestFeedback([dict(row._mapping) for row in rows], total)


def count(store: ServerStore) -> int:
    """How many events there are."""
    with store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(feedback)) or 0


# -- training data ------------------------------------------------------------------------------------


def training_rows(
    store: ServerStore, default_weight: float = 0.0, since: int = 0
) -> Iterator[dict[str, Any]]:
    """One row for each product, by product id.

    It holds the latest choice; a reviewer's counts before a seller's, and a person's before a suggestion that
    nobody looked at. The reader takes the columns as named here and never guesses; what clients sent is in
    `fields`.

    Args:
        store: The store.
        default_weight: `sample_weight` of suggestions that nobody looked at. With 0 a model is not trained
            on its own predictions.
        since: UTC milliseconds; earlier feedback is left out.
    """
    query = sa.select(feedback).where(~feedback.c.undone, feedback.c.at >= since)
    order = (feedback.c.product_id, feedback.c.id)
    with store.read() as connection:
        rows = connection.execution_options(yield_per=1000).execute(query.order_by(*order))
        best: Any = None
        for row in rows:
            if best is not None and (row.product_id != best.product_id or not row.product_id):
                yield _training_row(best, default_weight)
                best = None
            if best is None or _precedence(row) >= _precedence(best):
                best = row
        if best is not None:
            yield _training_row(best, default_weight)


def _precedence(row: Any) -> tuple[int, int]:
    return _CERTAINTY[row.how], _RANK.get(row.role, 0)


def _training_row(row: Any, default_weight: float) -> dict[str, Any]:
    fields = dict(row.fields)
    return {
        feedback_export.KEY: feedback_export.VERSION,
        "id": row.product_id or f"feedback-{row.id}",
        "title": fields.pop("title", ""),
        "description": fields.pop("description", ""),
        "category": row.chosen,
        "images": row.images,
        "missing_images": row.missing_images,
        "sample_weight": default_weight if row.how == "default" else 1.0,
        "split": "train",
        "fields": fields,
        "how": row.how,
        "role": row.role,
        "model_id": row.model_id,
        "at": datetime.fromtimestamp(row.at / 1000, UTC).isoformat(timespec="seconds"),
    }


def export(store: ServerStore, file: Path, default_weight: float = 0.0, since: int = 0) -> dict[str, int]:
    """Write training rows as JSON lines, and their images into a folder next to the file.

    Args:
        store: The store.
        file: The file to write.
        default_weight: As for `training_rows`.
        since: As for `training_rows`.

    Returns:
        How many rows of each `how`.

    Raises:
        StoreError: The file cannot be written.
    """
    from aisle.atomic_files import atomic_text, wrap_write_errors

    folder = file.with_suffix("").with_name(f"{file.stem}-images")
    counts: dict[str, int] = dict.fromkeys(HOW, 0)
    with wrap_write_errors(file, StoreError), atomic_text(file) as handle:
        for row in training_rows(store, default_weight, since):
            names = []
            for name in row["images"]:
                data = image(store, name)
                if data is not None:
                    folder.mkdir(exist_ok=True)
                    (folder / f"{name}.jpg").write_bytes(data)
                    names.append(f"{folder.name}/{name}.jpg")
            handle.write(json.dumps({**row, "images": names}, ensure_ascii=False) + "\n")
            counts[row["how"]] += 1
    return counts
