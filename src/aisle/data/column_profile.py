"""What the cells of a column look like: the evidence where a name alone does not tell what a column holds."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import pyarrow as pa

from aisle.data import column_parsers
from aisle.data.column_names import is_flag, is_kind
from aisle.data.files import IMAGE_ENDINGS

_SAMPLE = 1000  # filled cells that are counted
_TESTED = 100  # those of them whose looks are tested
_URL = re.compile(r"^(?:https?:)?//\S+$", re.IGNORECASE)
_PATH = re.compile(r"\S\s*(?:>|»|→|::|[|\\＞›])\s*\S|\S\s+/\s+\S|\S/[^/]+/\S")  # levels of a label
_NUMBER = re.compile(r"[-+]?[\d.,]+\s*%?")
_CODE = re.compile(r"(?=\D*\d)[\w./#-]+", re.ASCII)
_ALL = 0.95  # nearly all cells: a few others do not make flags something else
_HEAD = 500  # characters of a cell that are looked at
_IMAGE = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(IMAGE_ENDINGS)))})(?:\W|$)", re.IGNORECASE)


class ColumnProfile(NamedTuple):
    """A column by its cells. `filled` is the share of all rows; the others are shares of the filled cells
    that were looked at (`seen` of them).

    distinct: different values; common: the commonest one. words: cells of two words or more; codes: of one
    with a digit in it. images, urls, numbers, flags, kinds, paths: cells that name an image, an address, a
    number, a yes or no, a record's kind, and several levels. length: the mean number of characters.
    """

    filled: float = 1.0
    seen: int = 0
    distinct: float = 0.0
    words: float = 0.0
    codes: float = 0.0
    images: float = 0.0
    urls: float = 0.0
    numbers: float = 0.0
    flags: float = 0.0
    kinds: float = 0.0
    paths: float = 0.0
    length: float = 0.0
    common: float = 0.0

    @property
    def as_title(self) -> bool:
        """Whether the cells may be titles."""
        odd = max(self.urls, self.images, self.numbers, self.codes)
        return not self.seen or (odd < 0.5 and self.flags < _ALL and self.length >= 3)

    @property
    def as_label(self) -> bool:
        """Whether the cells may be labels: no addresses, no flags, no kinds of record, no long text."""
        odd = max(self.urls, self.images, self.kinds)
        return not self.seen or (odd < 0.5 and self.flags < _ALL and self.length <= 400)

    @property
    def recurs(self) -> bool:
        """Whether rows share values, as they share a label; few rows prove nothing."""
        return self.seen <= 20 or (self.distinct <= 0.9 and self.common < 1)

    @property
    def as_images(self) -> bool:
        """Whether the cells may name images."""
        return not self.seen or max(self.urls, self.images) >= 0.5

    @property
    def as_group(self) -> bool:
        """Whether the cells may tie variants: no single value (such as `0`) stands in most rows."""
        return self.seen < 10 or self.common <= 0.5


Profiles = Callable[[str], ColumnProfile]


def profiles(column: Callable[[str], Iterator[pa.Array]], rows: int) -> Profiles:
    """The profile of each column by name, made when it is asked for.

    Args:
        column: a column's cells, in pieces.
        rows: how many rows there are.
    """

    @cache
    def of(name: str) -> ColumnProfile:
        filled, cells = 0, []
        for array in column(name):
            full = column_parsers.filled(array)
            filled += int(full.sum())
            if len(cells) < _SAMPLE and pa.types.is_string(array.type):
                cells += array.filter(pa.array(full)).slice(0, _SAMPLE - len(cells)).to_pylist()
        return looks(cells)._replace(filled=filled / rows if rows else 0.0)

    return of


def looks(cells: Sequence[str]) -> ColumnProfile:
    """The profile of some cells that are not blank."""
    if not cells:
        return ColumnProfile()
    counts = Counter(cell.strip() for cell in cells)
    tested = Counter(cell.strip()[:_HEAD] for cell in cells[:_TESTED])

    def share(test: Callable[[str], object]) -> float:
        return sum(count for cell, count in tested.items() if test(cell)) / tested.total()

    return ColumnProfile(
        seen=len(cells),
        distinct=len(counts) / len(cells),
        words=share(lambda cell: " " in cell),
        codes=share(_CODE.fullmatch),
        images=share(lambda cell: _IMAGE.search(cell)),
        urls=share(lambda cell: _URL.match(cell.split(",")[0].split("|")[0].split(" ")[0])),
        numbers=share(_NUMBER.fullmatch),
        flags=share(is_flag),
        kinds=share(is_kind),
        paths=share(lambda cell: not _URL.match(cell) and _PATH.search(cell)),
        length=sum(map(len, cells)) / len(cells),
        common=max(counts.values()) / len(cells),
    )
