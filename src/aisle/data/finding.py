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
    """One finding: `count` of `unit`, and its consequence.

    Attributes:
        kind: The kind of finding.
        severity: error, warning or note.
        message: What was found.
        action: What Aisle does, or what the user can do.
        examples: Single rows that show it.
        groups: Rows that show it together, such as duplicates.
        column: The column concerned, if it is one; `message` starts with its name.
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
        singular = {
            "rows": "row",
            "files": "file",
            "classes": "class",
            "spellings": "spelling",
            "columns": "column",
        }
        return f"{self.count:,} {singular.get(self.unit, self.unit) if self.count == 1 else self.unit}"
