"""Reads files of `aisle feedback export`; the keys of their rows state the roles.

A row has the server's values under fixed keys, and the fields of callers in the object `fields`. Each of them
becomes a column `fields.NAME`, which never gets another role, whatever its name. Images are in the folder
next to the file.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from aisle.data.columns import CALLER_PREFIX, Columns
from aisle.data.paths import is_remote
from aisle.data.problems import Problems
from aisle.data.records import Records
from aisle.errors import CatalogError

KEY = "aisle_feedback"  # the first key of a row; its value is the version of the format
VERSION = 1
MAX_FIELDS = 500  # callers' field names that become columns
_MARK = " "  # starts the names of an export's columns until they are merged; no other name does
_ROLES = {"id": "id", "title": "title", "description": "description", "split": "split"}
_IMAGE = re.compile(r"[^/\\]+-images/[0-9a-f]{32}\.jpg")
_FindColumns = Callable[[Records, dict[str, Any]], Columns]


def is_row(item: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a row of an export."""
    return KEY in item


def flat_rows(
    rows: Iterable[Mapping[str, Any]], path: Path, problems: Problems, first: int
) -> Iterator[dict[str, str]]:
    """Convert rows of an export to text by column; the first has the number `first`.

    Raises:
        CatalogError: The export has another version.
    """
    field_names: set[str] = set()
    for number, row in enumerate(rows, first):
        if not is_row(row):
            if row:  # an empty row was reported before
                message = "not a row of `aisle feedback export`, unlike the first row of this file"
                problems.add(number, None, message, fatal=True)
            yield {"id": ""}
            continue
        if row[KEY] != VERSION:
            raise CatalogError(
                f"{path}: row {number:,} is feedback in format {str(row[KEY])[:20]!r}; format {VERSION} is "
                "read; export it again with this version of Aisle"
            )
        yield _to_columns(row, path, field_names, problems, number)


def _to_columns(
    row: Mapping[str, Any], path: Path, field_names: set[str], problems: Problems, number: int
) -> dict[str, str]:
    columns = {name: _text(row.get(name)) for name in _ROLES}
    category = row.get("category")
    levels = category if isinstance(category, list) and all(isinstance(x, str) for x in category) else []
    columns["category"] = json.dumps([levels], ensure_ascii=False) if levels else ""
    columns["weight"] = _text(row.get("sample_weight"))
    columns["images"] = json.dumps(list(_images(row.get("images"), path, problems, number)))
    fields = row.get("fields")
    for name, value in (fields if isinstance(fields, dict) else {}).items():
        name = " ".join(name.split())
        if name not in field_names and len(field_names) >= MAX_FIELDS:
            problems.add(
                None, CALLER_PREFIX + name, f"not read: more than {MAX_FIELDS} field names in the export"
            )
            continue
        if name:
            field_names.add(name)
            columns[CALLER_PREFIX + name] = _text(value)
    return columns


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _images(names: Any, path: Path, problems: Problems, number: int) -> Iterator[str]:
    for name in names if isinstance(names, list) else []:
        if not isinstance(name, str) or not _IMAGE.fullmatch(name):
            problems.add(number, "images", "not an image of this export; it is not opened", str(name))
            continue
        yield name if is_remote(path) else str(path.absolute().parent / name)


def mark(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Mark a batch as one of an export."""
    return batch.rename_columns([_MARK + name for name in batch.schema.names])


class FeedbackMerge(NamedTuple):
    """How rows of exports are merged with rows of other files.

    Attributes:
        names: The column of each key of an export's row; None: left out.
        levels: The level columns, if the other files have some.
        given: The column roles of the merged rows.
        root: The folder that image paths are relative to.
    """

    names: Mapping[str, str | None]
    levels: tuple[str, ...]
    given: dict[str, Any]
    root: Path

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch with its merged columns; batches of other files are unchanged."""
        if not _is_marked(batch):
            return batch
        arrays: dict[str, pa.Array] = {}
        for marked_name, array in zip(batch.schema.names, batch.columns, strict=True):
            key = marked_name.removeprefix(_MARK)
            name = self.names.get(key, key if key.startswith(CALLER_PREFIX) else None)
            if key == "images":
                array = pa.array([self._relative(cell) for cell in array.to_pylist()], pa.string())
            if key == "category" and self.levels:
                arrays |= self._level_arrays(array)
            elif name is not None:
                arrays[name] = array
        return pa.record_batch(list(arrays.values()), names=list(arrays))

    def _relative(self, cell: str | None) -> str:
        root = self.root if is_remote(self.root) else self.root.absolute()
        paths = [Path(name) for name in json.loads(cell or "[]")]
        inside = [path.relative_to(root) if path.is_relative_to(root) else path for path in paths]
        return json.dumps([str(path) for path in inside]) if inside else ""

    def _level_arrays(self, cells: pa.Array) -> dict[str, pa.Array]:
        paths = [_path(cell) for cell in cells.to_pylist()]
        return {
            name: pa.array([path[i] if i < len(path) else "" for path in paths], pa.string())
            for i, name in enumerate(self.levels)
        }


def _is_marked(batch: pa.RecordBatch) -> bool:
    return any(name.startswith(_MARK) for name in batch.schema.names)


def plan_merge(
    records: Records, given: dict[str, Any], root: Path, find: _FindColumns
) -> FeedbackMerge | None:
    """Plan how exports are merged with the other records; None if there are no exports.

    Args:
        records: The records.
        given: The roles that the user states.
        root: The folder that image paths are relative to.
        find: Finds the column roles of the other records. Values of exports go to the columns of equal roles.
    """
    exports = [batch for batch in records.batches if _is_marked(batch)]
    if not exports:
        return None
    other_records = Records([batch for batch in records.batches if not _is_marked(batch)])
    others = find(other_records, given) if len(other_records) else Columns()
    used_names = set(other_records.types)

    def unused_name(name: str) -> str:
        while name in used_names:
            name += "_"
        used_names.add(name)
        return name

    names: dict[str, str | None] = {}
    for key, default_name in _ROLES.items():
        column = getattr(others, key)
        # If the others have no such column, a new one would leave their rows without id or split.
        is_needed = key not in ("id", "split") or not len(other_records)
        names[key] = column if column is not None else unused_name(default_name) if is_needed else None
    names["weight"] = others.weight or unused_name("sample_weight")
    names["images"] = unused_name("images")
    levels = _levels(exports, others.levels, unused_name) if others.category is None else ()
    names["category"] = None if levels else others.category or unused_name("category")
    keys = {key for batch in exports for key in (n.removeprefix(_MARK) for n in batch.schema.names)}
    for key in keys:
        column = key.removeprefix(CALLER_PREFIX)
        if key.startswith(CALLER_PREFIX) and column in others.fields:
            names[key] = column
    roles: dict[str, Any] = {role: names[role] or "" for role in (*_ROLES, "weight")}
    label = {"levels": levels} if levels else {"category": names["category"]}
    rest = {
        "date": others.date or "",
        "group": others.group or "",
        "vectors": others.vectors,
    }
    images = {"images": (*others.images, names["images"])}
    # Roles that the user states concern the other files, if there are any.
    export_roles = {*roles, *rest, "category", "levels", "images"}
    stated = {key: value for key, value in given.items() if key not in export_roles}
    if not len(other_records):
        stated |= {key: value for key, value in given.items() if value}
        label = {} if "levels" in stated else label
    return FeedbackMerge(names, levels, {**roles, **label, **rest, **images, **stated}, root)


def _levels(
    exports: list[pa.RecordBatch], others: tuple[str, ...], unused_name: Callable[[str], str]
) -> tuple[str, ...]:
    """The level columns of the other files, and new ones for longer paths."""
    if not others:
        return ()
    cells = (cell for batch in exports for cell in batch.column(f"{_MARK}category").to_pylist())
    depth = max((len(_path(cell)) for cell in cells), default=0)
    return (*others, *(unused_name(f"level {i + 1}") for i in range(len(others), depth)))


def _path(cell: str | None) -> list[str]:
    return json.loads(cell)[0] if cell else []
