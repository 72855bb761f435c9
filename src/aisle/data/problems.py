"""The problems of a catalog, stored compactly, because each of ten million rows may have one."""

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np

from aisle.data.product import Problem
from aisle.data.source_rows import SourceRows
from aisle.errors import CatalogError

_MAX_VALUE = 200  # characters of a value that are kept
_SURROGATE = re.compile("[\ud800-\udfff]")


def _escape_byte(match: re.Match[str]) -> str:
    """Write a byte that could not be decoded as `\\x81`."""
    code = ord(match[0]) - 0xDC00
    return f"\\x{code:02x}" if 0 <= code < 256 else "�"


class ProblemType(NamedTuple):
    """The column, message and severity that many problems share."""

    column: str | None
    message: str
    fatal: bool


class FirstProblemError(CatalogError):
    """Raised in strict mode at the first problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem} (strict: stopped at the first)")
        self.problem = problem


class Problems(Sequence[Problem]):
    """A growing list of `Problem`s, in the order of their rows once `sort` was called.

    Args:
        strict: Raise the first problem that is added.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self._numbers: dict[ProblemType, int] = {}
        self._types: list[ProblemType] = []
        self._row = array("q")  # 0 stands for the whole file
        self._type = array("l")
        self._value: list[str] = []
        self._source_rows = SourceRows()

    def add(
        self, row: int | None, column: str | None, message: str, value: str = "", *, fatal: bool = False
    ) -> None:
        """Add one problem.

        Args:
            row: The number of the record, from 1; None for the whole file.
            column: The column.
            message: What is wrong.
            value: The value that is wrong; its first 200 characters are kept.
            fatal: Whether the row is left out of training.

        Raises:
            FirstProblemError: In strict mode.
        """
        value = _SURROGATE.sub(_escape_byte, value[:_MAX_VALUE])
        row = self._source_rows.number(row - 1) if row else None
        if self.strict:
            raise FirstProblemError(Problem(row, column, message, value, fatal))
        type_ = ProblemType(column, message, fatal)
        if type_ not in self._numbers:
            self._numbers[type_] = len(self._types)
            self._types.append(type_)
        self._row.append(row or 0)
        self._type.append(self._numbers[type_])
        self._value.append(value)

    def note(self, column: str | None, message: str, value: str = "") -> None:
        """Add information about the whole file, also in strict mode."""
        strict, self.strict = self.strict, False
        self.add(None, column, message, value)
        self.strict = strict

    def copy(self, strict: bool = False) -> "Problems":
        """A copy that can be added to."""
        other = Problems(strict)
        other._numbers, other._types = dict(self._numbers), list(self._types)
        other._row, other._type, other._value = self._row[:], self._type[:], list(self._value)
        return other

    def drain(self, last: int) -> "Problems":
        """Remove and return the problems of records up to number `last` and of the whole file."""
        drained, kept = Problems(), Problems(self.strict)
        for problem in self:
            taken = (problem.row or 0) <= last
            (drained if taken else kept).add(*problem[:4], fatal=problem.fatal)
        self._numbers, self._types = kept._numbers, kept._types
        self._row, self._type, self._value = kept._row, kept._type, kept._value
        return drained

    def remove(self, rows: np.ndarray, since: int) -> None:
        """Remove the problems of the given records that were added after the first `since` problems."""
        later = np.arange(len(self)) >= since
        kept = np.flatnonzero(~(later & np.isin(self._rows, rows)))
        if len(kept) < len(self):
            self._row = array("q", self._rows[kept].tobytes())
            self._type = array("l", np.frombuffer(self._type, dtype=np.int64)[kept].tobytes())
            self._value = [self._value[i] for i in kept]

    def number_by(self, rows: SourceRows) -> None:
        """From now on, `add` takes the position of a product, from 1; its problem gets its row's number."""
        self._source_rows = rows

    def fatal_positions(self) -> np.ndarray:
        """Sorted positions of the products with a fatal problem in their first row, from 0."""
        positions = self._source_rows.positions(self.fatal_rows())
        return positions[positions >= 0]

    def sort(self) -> None:
        """Sort by row, problems of the whole file first; stable."""
        order = np.argsort(self._rows, kind="stable")
        if (order[1:] > order[:-1]).all():
            return
        self._row = array("q", self._rows[order].tobytes())
        self._type = array("l", np.frombuffer(self._type, dtype=np.int64)[order].tobytes())
        self._value = [self._value[i] for i in order]

    @property
    def _rows(self) -> np.ndarray:
        return np.frombuffer(self._row, dtype=np.int64) if self._row else np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._row)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> "tuple[Problem, ...]": ...
    def __getitem__(self, index: int | slice) -> "Problem | tuple[Problem, ...]":
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        type_ = self._types[self._type[index]]
        return Problem(self._row[index] or None, type_.column, type_.message, self._value[index], type_.fatal)

    def __iter__(self) -> Iterator[Problem]:
        types = self._types
        for row, code, value in zip(self._row, self._type, self._value, strict=True):
            type_ = types[code]
            yield Problem(row or None, type_.column, type_.message, value, type_.fatal)

    def __repr__(self) -> str:
        return f"Problems({len(self)}: {dict(self.counts().most_common(3))})"

    def of(self, row: int) -> tuple[Problem, ...]:
        """The problems of one record; needs `sort`."""
        start, stop = np.searchsorted(self._rows, [row, row + 1])
        return self[int(start) : int(stop)]

    def fatal_rows(self) -> np.ndarray:
        """Sorted numbers of the records with a fatal problem."""
        fatal = np.array([type_.fatal for type_ in self._numbers], dtype=bool)
        if not len(self) or not fatal.any():
            return np.empty(0, np.int64)
        mask = fatal[np.frombuffer(self._type, dtype=np.int64)]
        return np.setdiff1d(self._rows[mask], [0])

    def rows_with(self) -> np.ndarray:
        """Sorted numbers of the records with any problem."""
        return np.setdiff1d(self._rows, [0])

    def counts(self) -> Counter[ProblemType]:
        """The number of problems of each type."""
        types = self._types
        return Counter({types[code]: n for code, n in Counter(self._type).items()})

    def select(self, rows: np.ndarray) -> "Problems":
        """The problems of the given records and of the whole file."""
        kept = Problems()
        mask = np.isin(self._rows, np.append(rows, 0))
        for i in np.flatnonzero(mask):
            kept.add(*self[int(i)][:4], fatal=self[int(i)].fatal)
        return kept
