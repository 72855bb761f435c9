"""Where people said that products belong: kept, repeated posts counted once, exported to learn from."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from aisle.catalog import ImageRef
from aisle.server.pictures import small
from aisle.server.problems import ApiError
from aisle.server.store.database import Store, StoreError, now
from aisle.server.store.tables import feedback, pictures

_RANK = {"seller": 0, "reviewer": 1, "admin": 1}
_CERTAIN = {"default": 0, "accepted": 1, "chosen": 1}


@dataclass(frozen=True)
class Event:
    """A person's word on one product. suggested: (node id, confidence), best first; chosen: the path.
    pictures: hashes under which `keep_pictures` keeps them. request_key: repeated posts carry the same."""

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
    request_key: str | None = None
    review_id: int | None = None
    at: int = field(default_factory=now)

    def row(self) -> dict[str, Any]:
        """As the table holds it."""
        data = dict(self.__dict__)
        data["chosen"], data["pictures"] = list(self.chosen), list(self.pictures)
        data["suggested"] = [list(pair) for pair in self.suggested]
        return data


def add(store: Store, event: Event) -> tuple[int, bool]:
    """Commit one event: (its number, whether it was there before under the same request key).

    Raises:
        ApiError: the request key was used for something else.
        StoreError: it is not on disk.
    """
    try:
        with store.begin() as connection:
            before = repeated(connection, event)
            return (insert(connection, event), False) if before is None else (before, True)
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


def keep_pictures(store: Store, refs: Iterable[ImageRef]) -> list[str]:
    """Keep small copies of those that decode; their hashes."""
    kept = {}
    for ref in refs:
        data = small(ref)
        if data is not None:
            kept[hashlib.blake2b(data, digest_size=16).hexdigest()] = data
    with store.begin() as connection:
        there = set(connection.scalars(sa.select(pictures.c.hash).where(pictures.c.hash.in_(kept))))
    for name in kept.keys() - there:
        try:
            with store.begin() as connection:
                connection.execute(pictures.insert().values(hash=name, data=kept[name]))
        except IntegrityError:  # someone else kept the same meanwhile
            continue
    return list(kept)


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


def latest(store: Store, places: Sequence[str] | None, most: int) -> list[dict[str, Any]]:
    """The last word on each product that has an id, the latest first; places: only those chosen there."""
    last = sa.select(sa.func.max(feedback.c.id)).where(~feedback.c.undone, feedback.c.product_id != "")
    wanted = sa.select(feedback).where(feedback.c.id.in_(last.group_by(feedback.c.product_id)))
    if places is not None:
        wanted = wanted.where(feedback.c.chosen_id.in_(places))
    with store.read() as connection:
        rows = connection.execute(wanted.order_by(feedback.c.id.desc()).limit(most))
        return [dict(row._mapping) for row in rows]


def count(store: Store) -> int:
    """How many events there are."""
    with store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(feedback)) or 0


# -- to learn from ------------------------------------------------------------------------------------


def lessons(store: Store, default_weight: float = 0.0, since: int = 0) -> Iterator[dict[str, Any]]:
    """One row a product for `aisle train`, by product id: its last word, a reviewer's before a seller's,
    a person's before a suggestion that merely stood.

    default_weight: the `sample_weight` of rows that nobody looked at; 0: not learned from, so that a model
    does not learn its own echo. The columns that begin with `category_` say where a row comes from; `read`
    leaves them out of what is learned from.
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
    own = {"id", "category", "images", "sample_weight", "split"}
    fields = {name: text for name, text in row.fields.items() if name not in own}
    return {
        "id": row.product_id or f"feedback-{row.id}",
        "title": fields.pop("title", ""),
        "description": fields.pop("description", ""),
        **fields,
        "category": json.dumps([row.chosen], ensure_ascii=False),
        "images": row.pictures,
        "sample_weight": default_weight if row.how == "default" else 1.0,
        "split": "train",
        "category_how": row.how,
        "category_role": row.role,
        "category_model": row.model_id,
        "category_at": datetime.fromtimestamp(row.at / 1000, UTC).isoformat(timespec="seconds"),
    }


def export(store: Store, file: Path, default_weight: float = 0.0, since: int = 0) -> dict[str, int]:
    """Write the lessons as JSON lines, their pictures into a folder beside it; how many of each `how`.

    Raises:
        StoreError: the file cannot be written.
    """
    from aisle.inference.writing import whole_file

    folder = file.with_suffix("").with_name(f"{file.stem}-pictures")
    tally = {"chosen": 0, "accepted": 0, "default": 0}
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
                tally[lesson["category_how"]] += 1
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror or error}") from error
    return tally
