"""Resolves columns: the role of each, by the user, an earlier catalog, its name and its cells."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from aisle.data import feedback_export
from aisle.data.batches import VECTOR
from aisle.data.catalog_format import CatalogFormat
from aisle.data.column_names import rank
from aisle.data.column_parsers import parse_weight
from aisle.data.column_profile import profiles
from aisle.data.column_roles import find_columns
from aisle.data.columns import Columns
from aisle.data.dates import looks_like_date
from aisle.data.image_refs import ImageResolver, guess_separator
from aisle.data.label_reading import read_labels
from aisle.data.problems import Problems
from aisle.data.records import Records
from aisle.taxonomy import Taxonomy

_SAMPLE = 1000  # rows that a column is recognised by
_NESTED = 0.7  # agreement on the level above: 0 by chance, 1 in a tree whose names differ
_NESTED_ROWS = 5000  # rows that nesting is judged by


class ResolvedColumns(NamedTuple):
    """Records with their final columns.

    Attributes:
        records: The records; rows of feedback exports have been merged into the columns of the others.
        images: Finds the images of a record; holds the column roles.
        merge: How feedback exports were merged; None where there are none.
    """

    records: Records
    images: ImageResolver
    merge: feedback_export.FeedbackMerge | None

    @property
    def columns(self) -> Columns:
        """The role of every column."""
        return self.images.columns


def resolve_columns(
    records: Records,
    user_columns: dict[str, Any],
    root: Path,
    problems: Problems,
    previous: CatalogFormat | None = None,
    tree: Taxonomy | None = None,
    labels: bool = False,
    image_files: bool = True,
) -> ResolvedColumns:
    """Find the role of every column.

    Args:
        records: The records, or a sample of them.
        user_columns: Roles that the user or the source states.
        root: The folder that image paths are relative to.
        problems: Receives what is wrong with the header.
        previous: The format of an earlier catalog of the same shop.
        tree: The official category tree.
        labels: Whether a column with a vague name may be the label. Products to classify have none.
        image_files: Whether image files are looked for.
    """
    find = partial(_find_columns, previous=previous, tree=tree, labels=labels)
    merge = feedback_export.plan_merge(records, user_columns, root, find)
    if merge is not None:
        records, user_columns = records.map_batches(merge.batch), merge.given
    columns = find(records, user_columns)
    _check_header(columns, records.names, problems)
    cells = [cell for column in columns.images for cell in _sample(records, column)]
    images = ImageResolver(columns, root, guess_separator(cells), image_files)
    return ResolvedColumns(records, images, merge)


def _find_columns(
    records: Records,
    user_columns: dict[str, Any],
    previous: CatalogFormat | None,
    tree: Taxonomy | None,
    labels: bool,
) -> Columns:
    """The column roles. A weight or date column whose cells are neither stays a field."""
    names = records.names
    known = (previous or CatalogFormat()).roles(names, user_columns)
    requested = {**known.given, **user_columns}
    find = partial(
        find_columns,
        names,
        binary=[n for n in names if "binary" in str(records.types[n])],
        vectors=[n for n in names if records.types[n] == VECTOR],
        profile=profiles(records.column, len(records)),
        label_share=None if tree is None else partial(_share_in_tree, records, tree, requested),
        allow_vague=labels,
        keep_fields=known.fields,
        is_above=partial(_is_above, records),
    )
    roles_ = find(requested)
    for role, is_valid in (("weight", lambda text: parse_weight(text) >= 0), ("date", looks_like_date)):
        column = getattr(roles_, role)
        if column is not None and role not in requested and f"{role}_format" not in requested:
            sample = [cell for cell in _sample(records, column) if cell.strip()]
            if not sample or sum(map(is_valid, sample)) < len(sample) / 2:
                requested = {**requested, role: ""}
                roles_ = find(requested)
    return roles_


def _is_above(records: Records, upper: str, lower: str) -> bool:
    """Whether rows that share a value of the lower column nearly always share one of the upper column.

    The agreement of pairs of such rows, corrected for chance as in Krippendorff's alpha. It is not perfect in
    real trees, since names such as `Other` occur in several branches.
    """
    pairs = Counter(
        (above, below)
        for above, below in zip(_cells(records, upper), _cells(records, lower), strict=True)
        if above and below
    )
    n_upper, n_lower = Counter[str](), Counter[str]()
    for (above, below), count in pairs.items():
        n_upper[above] += count
        n_lower[below] += count
    total = n_upper.total()
    n_recurring = sum(count for count in n_lower.values() if count > 1)
    if len(n_upper) < 2 or 2 * n_recurring < total:
        return False
    agreeing = sum(
        count * (count - 1) / (n_lower[below] - 1) for (_, below), count in pairs.items() if count > 1
    )
    by_chance = sum(count * (count - 1) for count in n_upper.values()) / (total * (total - 1))
    return agreeing / n_recurring - by_chance >= _NESTED * (1 - by_chance)


def _cells(records: Records, column: str) -> list[str]:
    """The cells of the first rows, without spaces around them; blank where they are no text."""
    cells: list[str] = []
    for array in records.column(column):
        cells += [v.strip() if isinstance(v, str) else "" for v in array.slice(0, _NESTED_ROWS).to_pylist()]
        if len(cells) >= _NESTED_ROWS:
            break
    return cells[:_NESTED_ROWS]


def _share_in_tree(
    records: Records, tree: Taxonomy, given: Mapping[str, Any], columns: tuple[str, ...]
) -> float:
    """The share of the first rows whose label is in the official tree."""
    chosen = Columns(category=columns[0]) if len(columns) == 1 else Columns(levels=columns)
    chosen = replace(chosen, delimiter=given.get("delimiter"), separator=given.get("separator"))
    first = Records([batch.slice(0, _SAMPLE) for batch in records.batches[:1]])
    first.types = records.types
    labels = read_labels(first, chosen, tree, Problems())
    return float((labels.mapping.node[labels.codes] >= 0).mean()) if len(first) else 0.0


def _check_header(columns: Columns, names: list[str], problems: Problems) -> None:
    """Report a header of numbers without any known name: it is probably the first record."""
    roles = {"id": columns.id, "description": columns.description, "title": columns.title}
    named = any(name is not None and rank(role, name) is not None for role, name in roles.items())
    if named or columns.label or columns.images:
        return
    indices = {str(number) for number in range(len(names))}
    for name in names:
        if name not in indices and re.fullmatch(r"-?\d+([.,]\d+)?", name):
            message = "no column has a known name and the first line looks like a record; add a line of names"
            return problems.add(None, name, message, ", ".join(names))


def _sample(records: Records, column: str) -> list[str]:
    for array in records.column(column):
        return [value for value in array.slice(0, _SAMPLE).to_pylist() if isinstance(value, str)]
    return []
