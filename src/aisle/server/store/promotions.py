"""Which model went live when: written down, and found again after a restart."""

from collections.abc import Mapping
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


class Line(NamedTuple):
    """Models that were live one after the other and can be gone back to, the live one last. left_out: the
    name that was live at last, where it is not the live one now."""

    names: list[str]
    left_out: str | None


def line_of(store: Store, first: str, model_ids: Mapping[str, str]) -> Line:
    """What was live before a restart. first: the name that is live where nothing was ever promoted.
    model_ids: of the models there are, by name; other weights under a name were never judged, so they do
    not go live by it."""
    line = [(first, model_ids[first])]
    columns = (promotions.c.what, promotions.c.model, promotions.c.model_id)
    wanted = sa.select(*columns).where(promotions.c.what != REFUSED).order_by(promotions.c.id)
    with store.read() as connection:
        for what, name, model_id in connection.execute(wanted):
            if what == PROMOTED:
                line.append((name, model_id))
            elif len(line) > 1:
                line.pop()
    there = [name for name, model_id in line if model_ids.get(name) == model_id]
    names = [name for i, name in enumerate(there) if i == 0 or name != there[i - 1]]
    return Line(names, line[-1][0] if model_ids.get(line[-1][0]) != line[-1][1] else None)


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
