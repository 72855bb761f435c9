"""Findings of a check of a catalog."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Example:
    """A row that shows a finding: record number (0: no single row), id, shown value and label."""

    row: int
    id: str
    value: str
    label: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing found: `count` of `unit`, and what Aisle does about it.

    examples: single rows that show it; groups: rows that show it together, such as duplicates. column: the
    one column that it is about, with whose name `what` then begins.
    """

    kind: str
    severity: Severity
    message: str
    count: int
    unit: str
    action: str
    examples: tuple[Example, ...] = ()
    groups: tuple[tuple[Example, ...], ...] = ()
    column: str = ""

    @property
    def amount(self) -> str:
        """`1 row`, `5,707 rows`."""
        one = {
            "rows": "row",
            "files": "file",
            "classes": "class",
            "spellings": "spelling",
            "columns": "column",
        }
        return f"{self.count:,} {one.get(self.unit, self.unit) if self.count == 1 else self.unit}"
