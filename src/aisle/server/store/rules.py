"""Versions of the rules, and who changed them when."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from aisle.rules import Ruleset
from aisle.server.store.database import ServerStore, now
from aisle.server.store.tables import rule_changes

SET, ROLLED_BACK = "set", "rolled back"


class RulesVersion(NamedTuple):
    """One version of the rules; `content` is None for those that the models were saved with."""

    content: str | None

    def read(self) -> Ruleset | None:
        """The rules.

        Raises:
            RulesError: The content is damaged.
        """
        return None if self.content is None else Ruleset.from_json(self.content)


def record(store: ServerStore, person: str, action: str, rules: Ruleset | None) -> None:
    """Store a change."""
    row = {
        "at": now(),
        "person": person,
        "action": action,
        "version": None if rules is None else rules.digest,
        "rules": 0 if rules is None else len(rules.rules),
        "content": None if rules is None else rules.to_json(),
    }
    with store.begin() as connection:
        connection.execute(rule_changes.insert().values(row))


def history(store: ServerStore, limit: int = 100) -> list[dict[str, Any]]:
    """All changes without the rules themselves, the latest first."""
    table = rule_changes.c
    columns = (table.at, table.person, table.action, table.version, table.rules)
    with store.read() as connection:
        rows = connection.execute(sa.select(*columns).order_by(table.id.desc()).limit(limit))
        return [dict(row._mapping) for row in rows]


def versions(store: ServerStore) -> list[RulesVersion]:
    """The versions up to the current one, which is the last; the first are those of the saved models."""
    stack = [RulesVersion(None)]
    table = rule_changes.c
    with store.read() as connection:
        for action, content in connection.execute(sa.select(table.action, table.content).order_by(table.id)):
            if action == SET:
                stack.append(RulesVersion(content))
            elif len(stack) > 1:
                stack.pop()
    return stack
