"""Which model went live when: written down, and found again after a restart."""

from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa

from aisle.server.store.database import Store, now
from aisle.server.store.tables import promotions, shadows

PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled back"


class Change(NamedTuple):
    """`what` (PROMOTED, REFUSED, ROLLED_BACK) of a model; before: the name that was live; measured: on
    the fixed set."""

    what: str
    model: str
    model_id: str
    before: str
    measured: dict[str, Any] | None = None


def record(store: Store, person: str, change: Change) -> None:
    """Commit a change."""
    row = {"at": now(), "person": person, **change._asdict()}
    with store.begin() as connection:
        connection.execute(promotions.insert().values(row))


def history(store: Store, most: int = 100) -> list[dict[str, Any]]:
    """The latest first."""
    with store.read() as connection:
        rows = connection.execute(sa.select(promotions).order_by(promotions.c.id.desc()).limit(most))
        return [dict(row._mapping) for row in rows]


def line_of(store: Store, first: str, names: Collection[str]) -> list[str]:
    """Models that were live one after the other and can be gone back to, the live one last; only those
    there still are (`names`). first: the one that is live where nothing was ever promoted."""
    line = [first]
    wanted = sa.select(promotions.c.what, promotions.c.model).where(promotions.c.what != REFUSED)
    with store.read() as connection:
        for what, model in connection.execute(wanted.order_by(promotions.c.id)):
            if what == PROMOTED:
                line.append(model)
            elif len(line) > 1:
                line.pop()
    there = [name for name in line if name in names] or [first]
    return [name for i, name in enumerate(there) if i == 0 or name != there[i - 1]]


def keep_shadows(store: Store, rows: list[dict[str, Any]]) -> None:
    """Commit what a shadow model would have answered."""
    with store.begin() as connection:
        connection.execute(shadows.insert(), rows)


def shadow_summary(store: Store, model_id: str, live_model_id: str) -> dict[str, Any]:
    """How often a shadow agreed with the live model, and how their decisions compare."""
    both = (shadows.c.model_id == model_id) & (shadows.c.live_model_id == live_model_id)
    alike = (shadows.c.best_id == shadows.c.live_best_id).label("alike")
    pair = (shadows.c.live_decision, shadows.c.decision, alike)
    wanted = sa.select(*pair, sa.func.count()).where(both).group_by(*pair)
    total = agreed = 0
    decisions: dict[str, int] = {}
    with store.read() as connection:
        for live, shadow, same, number in connection.execute(wanted):
            total, agreed = total + number, agreed + number * bool(same)
            decisions[f"{live} -> {shadow}"] = decisions.get(f"{live} -> {shadow}", 0) + number
    return {"products": total, "agreement": agreed / total if total else None, "decisions": decisions}
