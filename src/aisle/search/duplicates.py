"""The same product listed twice: pairs by text and by image, joined into groups that do not chain."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from aisle.data import Catalog
from aisle.data.writing import check_output, write_tables
from aisle.errors import SearchError
from aisle.progress import SILENT, Progress
from aisle.search.image_matches import similar_images
from aisle.search.texts import similar_texts

DuplicateMode = Literal["either", "text", "image", "both"]
_JOINED = 0.5  # share of all pairs between two groups that must be alike, or they stay apart


@dataclass(frozen=True)
class DuplicatePair:
    """Two rows of a catalog, and how alike their texts and images are; None where they are not alike."""

    a: int
    b: int
    text: float | None
    image: float | None


@dataclass(frozen=True)
class DuplicateGroup:
    """Rows (positions in the catalog, ascending) that show one product, and the pairs that say so."""

    rows: tuple[int, ...]
    pairs: tuple[DuplicatePair, ...]

    @property
    def reason(self) -> str:
        """What they share: `text`, `image` or `text, image`."""
        shared = {
            "text": any(pair.text is not None for pair in self.pairs),
            "image": any(pair.image is not None for pair in self.pairs),
        }
        return ", ".join(name for name, is_so in shared.items() if is_so)


def find(
    catalog: Catalog, mode: DuplicateMode = "either", progress: Progress = SILENT
) -> list[DuplicateGroup]:
    """Groups of rows that list one product twice, largest first. mode: alike in text or image (either), in
    one of them, or in both at once.

    Raises:
        SearchError: there is no such way to compare.
    """
    if mode not in ("either", "text", "image", "both"):
        raise SearchError(f"--mode {mode}: use either, text, image or both")
    products = list(catalog)
    text: dict[tuple[int, int], float] = {}
    image: dict[tuple[int, int], float] = {}
    if mode != "image":
        named = [_title(product.fields) for product in products]
        rest = [product.fields.get("description", "") for product in products]
        text = _table(*similar_texts(named, rest))
    if mode != "text":
        image = _table(*similar_images([p.images[0] if p.images else None for p in products], progress))
    alike = text.keys() & image.keys() if mode == "both" else text.keys() | image.keys()
    pairs = [DuplicatePair(a, b, text.get((a, b)), image.get((a, b))) for a, b in alike]
    return grouped(pairs)


def grouped(pairs: Iterable[DuplicatePair]) -> list[DuplicateGroup]:
    """Groups of rows joined pair by pair, the most alike first; two groups become one only where at least
    half of the pairs between them are alike: a row that resembles two products does not make them one."""
    kept = {(pair.a, pair.b): pair for pair in pairs}
    order = sorted(kept.values(), key=lambda p: (-max(p.text or 0, p.image or 0), p.a, p.b))
    group_of: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    for pair in order:
        one, other = (_own(row, group_of, members) for row in (pair.a, pair.b))
        if one == other:
            continue
        between = [(min(a, b), max(a, b)) for a in members[one] for b in members[other]]
        if sum(key in kept for key in between) < _JOINED * len(between):
            continue
        for row in members[other]:
            group_of[row] = one
        members[one] += members.pop(other)
    by_group: dict[int, list[DuplicatePair]] = {}
    for pair in order:
        if group_of[pair.a] == group_of[pair.b]:
            by_group.setdefault(group_of[pair.a], []).append(pair)
    found = [DuplicateGroup(tuple(sorted(members[g])), tuple(own)) for g, own in by_group.items()]
    return sorted(found, key=lambda group: (-len(group.rows), group.rows))


def _own(row: int, group_of: dict[int, int], members: dict[int, list[int]]) -> int:
    if row not in group_of:
        group_of[row] = row
        members[row] = [row]
    return group_of[row]


def _title(fields: Mapping[str, str]) -> str:
    return fields.get("title") or fields.get("name") or " ".join(fields.values())


def _table(pairs: np.ndarray, likeness: np.ndarray) -> dict[tuple[int, int], float]:
    return {(int(a), int(b)): float(score) for (a, b), score in zip(pairs, likeness, strict=True)}


def to_rows(groups: Iterable[DuplicateGroup], catalog: Catalog) -> list[dict[str, Any]]:
    """A line a row in a group: its group's number from 1 and size, what it shares, its record and id."""
    numbers = catalog.rows
    return [
        {
            "group": number,
            "size": len(group.rows),
            "matched_by": group.reason,
            "row": int(numbers[row]),
            "id": product.id,
            "title": " ".join(_title(product.fields).split()),
        }
        for number, group in enumerate(groups, 1)
        for row, product in ((row, catalog[row]) for row in group.rows)
    ]


_SCHEMA = pa.schema(
    [(name, pa.int64() if name in ("group", "size", "row") else pa.string())
     for name in ("group", "size", "matched_by", "row", "id", "title")]
)  # fmt: skip


def write_rows(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write what `to_rows` returns as CSV, TSV, JSON lines or Parquet, by the file's ending.

    Raises:
        CatalogError: another ending, no such folder, or the disk refuses.
    """
    check_output(out)
    write_tables(iter([pa.Table.from_pylist(list(rows), _SCHEMA)]), out)
