"""Promotions, rollbacks and shadow predictions."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from aisle.server.store.database import ServerStore, now
from aisle.server.store.tables import promotions, shadows

PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled back"


class PromotionRecord(NamedTuple):
    """An attempt to change the live model.

    Attributes:
        action: PROMOTED, REFUSED or ROLLED_BACK.
        model: The model's name.
        model_id: The hash of its weights.
        previous: The name that was live.
        comparison: On the golden set.
    """

    action: str
    model: str
    model_id: str
    previous: str
    comparison: dict[str, Any] | None = None


def record(store: ServerStore, person: str, change: PromotionRecord) -> None:
    """Store a record."""
    row = {"at": now(), "person": person, **change._asdict()}
    with store.begin() as connection:
        connection.execute(promotions.insert().values(row))


def history(store: ServerStore, limit: int = 100) -> list[dict[str, Any]]:
    """All records, the latest first."""
    with store.read() as connection:
        rows = connection.execute(sa.select(promotions).order_by(promotions.c.id.desc()).limit(limit))
        return [dict(row._mapping) for row in rows]


class LiveHistory(NamedTuple):
    """Names of models that were live, the live one last; and the last live name, if it is not live now."""

    names: list[str]
    left_out: str | None


def live_history(store: ServerStore, first: str, model_ids: Mapping[str, str]) -> LiveHistory:
    """Which models were live before a restart.

    Args:
        store: The store.
        first: The name that is live if nothing was promoted.
        model_ids: Of the loaded models by name. A name with other weights than those that were promoted is
            left out: they were never compared.
    """
    stack = [(first, model_ids[first])]
    columns = (promotions.c.action, promotions.c.model, promotions.c.model_id)
    query = sa.select(*columns).where(promotions.c.action != REFUSED).order_by(promotions.c.id)
    with store.read() as connection:
        for action, name, model_id in connection.execute(query):
            if action == PROMOTED:
                stack.append((name, model_id))
            elif len(stack) > 1:
                stack.pop()
    loaded = [name for name, model_id in stack if model_ids.get(name) == model_id]
    names = [name for i, name in enumerate(loaded) if i == 0 or name != loaded[i - 1]]
    last, last_id = stack[-1]
    return LiveHistory(names, last if model_ids.get(last) != last_id else None)


def add_shadow_rows(store: ServerStore, rows: list[dict[str, Any]]) -> None:
    """Store predictions of a shadow model."""
    with store.begin() as connection:
        connection.execute(shadows.insert(), rows)


def shadow_summary(store: ServerStore, model_id: str, live_model_id: str) -> dict[str, Any]:
    """How often a shadow agreed with the live model, and how their decisions compare."""
    condition = (shadows.c.model_id == model_id) & (shadows.c.live_model_id == live_model_id)
    same = (shadows.c.best_id == shadows.c.live_best_id).label("same")
    columns = (shadows.c.live_decision, shadows.c.decision, same)
    query = sa.select(*columns, sa.func.count()).where(condition).group_by(*columns)
    total = agreed = 0
    decisions: dict[str, int] = {}
    with store.read() as connection:
        for live, shadow, agrees, count in connection.execute(query):
            total, agreed = total + count, agreed + count * bool(agrees)
            pair = f"{live} -> {shadow}"
            decisions[pair] = decisions.get(pair, 0) + count
    return {"products": total, "agreement": agreed / total if total else None, "decisions": decisions}
