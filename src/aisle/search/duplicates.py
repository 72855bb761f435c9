"""Duplicate listings of a product: pairs with similar texts or images, merged into groups."""

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
_MIN_LINKED = 0.5  # share of the pairs between two groups that must be similar to merge them


@dataclass(frozen=True)
class DuplicatePair:
    """Two similar rows of a catalog.

    Attributes:
        a: Position of the first row.
        b: Position of the second row.
        text: Similarity of their texts, 0 to 1; None if they are not similar.
        image: Similarity of their images, 0 to 1; None if they are not similar.
    """

    a: int
    b: int
    text: float | None
    image: float | None


@dataclass(frozen=True)
class DuplicateGroup:
    """Rows of one product.

    Attributes:
        rows: Positions in the catalog, ascending.
        pairs: The similar pairs among them.
    """

    rows: tuple[int, ...]
    pairs: tuple[DuplicatePair, ...]

    @property
    def reason(self) -> str:
        """How its pairs were matched: `text`, `image` or `text, image`."""
        matched = {
            "text": any(pair.text is not None for pair in self.pairs),
            "image": any(pair.image is not None for pair in self.pairs),
        }
        return ", ".join(name for name, has_pairs in matched.items() if has_pairs)


def find(
    catalog: Catalog, mode: DuplicateMode = "either", progress: Progress = SILENT
) -> list[DuplicateGroup]:
    """Find groups of rows that list the same product.

    Args:
        catalog: The products.
        mode: Compare texts, images, or both; `either`: one of the two must be similar, `both`: both must.
        progress: Progress reporting.

    Returns:
        Groups, largest first.

    Raises:
        SearchError: Unknown mode.
    """
    if mode not in ("either", "text", "image", "both"):
        raise SearchError(f"--mode {mode}: use either, text, image or both")
    products = list(catalog)
    text: dict[tuple[int, int], float] = {}
    image: dict[tuple[int, int], float] = {}
    if mode != "image":
        titles = [_title(product.fields) for product in products]
        descriptions = [product.fields.get("description", "") for product in products]
        text = _table(*similar_texts(titles, descriptions))
    if mode != "text":
        image = _table(*similar_images([p.images[0] if p.images else None for p in products], progress))
    similar = text.keys() & image.keys() if mode == "both" else text.keys() | image.keys()
    pairs = [DuplicatePair(a, b, text.get((a, b)), image.get((a, b))) for a, b in similar]
    return grouped(pairs)


def grouped(pairs: Iterable[DuplicatePair]) -> list[DuplicateGroup]:
    """Merge pairs into groups, the most similar pair first.

    Two groups are merged only if at least half of the pairs between them are similar, so that a row that
    resembles two products does not join them.

    Args:
        pairs: Similar pairs.

    Returns:
        Groups, largest first.
    """
    similar = {(pair.a, pair.b): pair for pair in pairs}
    order = sorted(similar.values(), key=lambda p: (-max(p.text or 0, p.image or 0), p.a, p.b))
    group_of: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    for pair in order:
        first, second = (_group(row, group_of, members) for row in (pair.a, pair.b))
        if first == second:
            continue
        between = [(min(a, b), max(a, b)) for a in members[first] for b in members[second]]
        if sum(key in similar for key in between) < _MIN_LINKED * len(between):
            continue
        for row in members[second]:
            group_of[row] = first
        members[first] += members.pop(second)
    by_group: dict[int, list[DuplicatePair]] = {}
    for pair in order:
        if group_of[pair.a] == group_of[pair.b]:
            by_group.setdefault(group_of[pair.a], []).append(pair)
    groups = [
        DuplicateGroup(tuple(sorted(members[g])), tuple(pairs_in_group))
        for g, pairs_in_group in by_group.items()
    ]
    return sorted(groups, key=lambda group: (-len(group.rows), group.rows))


def _group(row: int, group_of: dict[int, int], members: dict[int, list[int]]) -> int:
    """Group of a row; a new one for a new row."""
    if row not in group_of:
        group_of[row] = row
        members[row] = [row]
    return group_of[row]


def _title(fields: Mapping[str, str]) -> str:
    return fields.get("title") or fields.get("name") or " ".join(fields.values())


def _table(pairs: np.ndarray, similarity: np.ndarray) -> dict[tuple[int, int], float]:
    return {(int(a), int(b)): float(score) for (a, b), score in zip(pairs, similarity, strict=True)}


def to_rows(groups: Iterable[DuplicateGroup], catalog: Catalog) -> list[dict[str, Any]]:
    """Convert groups to one record per row.

    Args:
        groups: The groups.
        catalog: The catalog that they were found in.

    Returns:
        Records with the group's number (from 1), size and `matched_by`, and the row's number, id and title.
    """
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
    """Write records as CSV, TSV, JSON lines or Parquet, by the file's ending.

    Args:
        rows: Records from `to_rows`.
        out: File to write.

    Raises:
        CatalogError: Unknown ending, no such folder, or a write failed.
    """
    check_output(out)
    write_tables(iter([pa.Table.from_pylist(list(rows), _SCHEMA)]), out)
