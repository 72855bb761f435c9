"""Edits of the records of a file, and their result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class JsonCell(str):
    """A cell whose text is JSON: a JSON file takes it as a value, other files as text."""

    __slots__ = ()


class CellEditor(Protocol):
    """Gives the new cells of each record.

    Attributes:
        columns: The columns that are set. Those that a file lacks are added after its last column.
    """

    columns: tuple[str, ...]

    def __call__(self, row: int, old: Sequence[str | None]) -> Sequence[str | None]:
        """The new cells of one record.

        Args:
            row: The position of the record in the file, from 0.
            old: Its cells in `columns`; None where it has none.

        Returns:
            The new cells in `columns`; None where the record stays as it is.
        """
        ...


@dataclass
class RewriteSummary:
    """Counts of one rewritten file.

    Attributes:
        rows: All records.
        changed: Records with a new cell in the first of the editor's columns.
        malformed: Records that were to be changed, but are damaged; they are copied.
        unencodable: Records whose new cells the encoding of the file cannot write; they are copied.
    """

    rows: int = 0
    changed: int = 0
    malformed: int = 0
    unencodable: int = 0
