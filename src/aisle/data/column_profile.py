"""Profiles of columns by their cells, for columns whose name alone does not tell their role."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import pyarrow as pa

from aisle.data import column_parsers
from aisle.data.column_names import is_flag, is_record_type
from aisle.data.files import IMAGE_ENDINGS

_SAMPLE = 1000  # filled cells of a column that are counted
_FEW = 20  # rows that may share a label by chance
_MATCHED = 100  # of these, cells that are matched with patterns
_URL = re.compile(r"^(?:https?:)?//\S+$", re.IGNORECASE)
_PATH = re.compile(r"\S\s*(?:>|»|→|::|[|\\＞›])\s*\S|\S\s+/\s+\S|\S/[^/]+/\S")  # levels of a label
_NUMBER = re.compile(r"[-+]?[\d.,]+\s*%?")
_CODE = re.compile(r"(?=\D*\d)[\w./#-]+", re.ASCII)
_NEARLY_ALL = 0.95  # share of the cells that makes a column one of flags
_LEVELS = re.compile(r"\s*(?:>|»|→|::|[|/\\＞›])\s*")
_SHORT = 200  # characters of a cell whose levels are split
_MAX_CHARS = 500  # characters of a cell that are matched
_IMAGE = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(IMAGE_ENDINGS)))})(?:\W|$)", re.IGNORECASE)


class ColumnProfile(NamedTuple):
    """Statistics of a column's cells: shares of the sampled cells, but for `filled`, `sampled` and `length`.

    Attributes:
        filled: Share of all rows whose cell is not blank.
        sampled: The number of filled cells that were sampled.
        distinct: Distinct values.
        words: Cells of two or more words.
        codes: Cells of one word with a digit.
        images: Cells that name an image.
        urls: Cells that are URLs.
        numbers: Cells that are numbers.
        flags: Cells that mean yes or no.
        record_types: Cells that name a platform's record type, such as `simple`.
        paths: Cells with several levels.
        length: The mean number of characters.
        common: Cells with the most frequent value.
        names: The distinct names of levels in short cells, without case.
    """

    filled: float = 1.0
    sampled: int = 0
    distinct: float = 0.0
    words: float = 0.0
    codes: float = 0.0
    images: float = 0.0
    urls: float = 0.0
    numbers: float = 0.0
    flags: float = 0.0
    record_types: float = 0.0
    paths: float = 0.0
    length: float = 0.0
    common: float = 0.0
    names: frozenset[str] = frozenset()

    @property
    def is_constant(self) -> bool:
        """Whether all of many cells are equal, so that the column is constant."""
        return self.sampled > _FEW and self.common == 1

    def has_levels_of(self, other: "ColumnProfile") -> bool:
        """Whether the cells are paths in which nearly all names of another column occur."""
        if self.paths < 0.5 or other.paths >= 0.5 or not other.names:
            return False
        return len(other.names & self.names) >= 0.9 * len(other.names)

    @property
    def may_be_title(self) -> bool:
        """Whether the cells may be titles."""
        unlike_text = max(self.urls, self.images, self.numbers, self.codes)
        return not self.sampled or (unlike_text < 0.5 and self.flags < _NEARLY_ALL and self.length >= 3)

    @property
    def may_be_label(self) -> bool:
        """Whether the cells may be labels: no URLs, flags, record types or long text."""
        unlike_text = max(self.urls, self.images, self.record_types)
        return not self.sampled or (unlike_text < 0.5 and self.flags < _NEARLY_ALL and self.length <= 400)

    @property
    def values_recur(self) -> bool:
        """Whether rows share values, as they share a label; always true for few rows."""
        return self.sampled <= _FEW or (self.distinct <= 0.9 and self.common < 1)

    @property
    def may_be_images(self) -> bool:
        """Whether the cells may name images."""
        return not self.sampled or max(self.urls, self.images) >= 0.5

    @property
    def may_be_group(self) -> bool:
        """Whether the cells may group variants: no single value (such as `0`) is in most rows."""
        return self.sampled < 10 or self.common <= 0.5


Profiles = Callable[[str], ColumnProfile]


def profiles(column: Callable[[str], Iterator[pa.Array]], rows: int) -> Profiles:
    """A function that returns the profile of a column, computed on first use.

    Args:
        column: Returns the cells of a column, as several arrays.
        rows: The number of rows.
    """

    @cache
    def profile(name: str) -> ColumnProfile:
        filled, cells = 0, []
        for array in column(name):
            mask = column_parsers.filled(array)
            filled += int(mask.sum())
            if len(cells) < _SAMPLE and pa.types.is_string(array.type):
                cells += array.filter(pa.array(mask)).slice(0, _SAMPLE - len(cells)).to_pylist()
        return profile_cells(cells)._replace(filled=filled / rows if rows else 0.0)

    return profile


def profile_cells(cells: Sequence[str]) -> ColumnProfile:
    """The profile of cells that are not blank."""
    if not cells:
        return ColumnProfile()
    counts = Counter(cell.strip() for cell in cells)
    tested = Counter(cell.strip()[:_MAX_CHARS] for cell in cells[:_MATCHED])

    def share(test: Callable[[str], object]) -> float:
        return sum(count for cell, count in tested.items() if test(cell)) / tested.total()

    return ColumnProfile(
        sampled=len(cells),
        distinct=len(counts) / len(cells),
        words=share(lambda cell: " " in cell),
        codes=share(_CODE.fullmatch),
        images=share(lambda cell: _IMAGE.search(cell)),
        urls=share(lambda cell: _URL.match(cell.split(",")[0].split("|")[0].split(" ")[0])),
        numbers=share(_NUMBER.fullmatch),
        flags=share(is_flag),
        record_types=share(is_record_type),
        paths=share(lambda cell: not _URL.match(cell) and _PATH.search(cell)),
        length=sum(map(len, cells)) / len(cells),
        common=max(counts.values()) / len(cells),
        names=frozenset(name for cell in counts if len(cell) <= _SHORT for name in _level_names(cell)),
    )


def _level_names(cell: str) -> list[str]:
    return [name for name in _LEVELS.split(cell.casefold()) if name]
