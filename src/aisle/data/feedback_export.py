"""The files that `aisle feedback export` writes: their rows say which part is what, so nothing is guessed.

A row holds what the server knows under names of its own, and what callers sent in the object `fields`. Read,
each caller's field becomes a column `fields.NAME`, which is never taken for an id, a label, a weight, a split
or an image, whatever its name. Images are those that the server kept, in the folder next to the file.
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

KEY = "aisle_feedback"  # a row's first key; its value is the format's version
VERSION = 1
MOST_FIELDS = 500  # callers' field names that become columns
_MARK = " "  # starts the names of an export's columns until they are joined: readers strip it from any other
_ROLES = {"id": "id", "title": "title", "description": "description", "split": "split"}
_IMAGE = re.compile(r"[^/\\]+-images/[0-9a-f]{32}\.jpg")
_Columns = Callable[[Records, dict[str, Any]], Columns]


def is_row(item: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a row of an export."""
    return KEY in item


def flat_rows(
    rows: Iterable[Mapping[str, Any]], path: Path, problems: Problems, first: int
) -> Iterator[dict[str, str]]:
    """Rows of an export as text by column, numbered from `first`.

    Raises:
        CatalogError: another version of the format.
    """
    known: set[str] = set()
    for number, row in enumerate(rows, first):
        if not is_row(row):
            if row:  # an empty one is noted already
                message = "not a row of `aisle feedback export`, unlike the first row of this file"
                problems.add(number, None, message, fatal=True)
            yield {"id": ""}
            continue
        if row[KEY] != VERSION:
            raise CatalogError(
                f"{path}: row {number:,} is feedback in format {str(row[KEY])[:20]!r}; format {VERSION} is "
                "read; export it again with this version of Aisle"
            )
        yield _flat(row, path, known, problems, number)


def _flat(
    row: Mapping[str, Any], path: Path, known: set[str], problems: Problems, number: int
) -> dict[str, str]:
    found = {name: _text(row.get(name)) for name in _ROLES}
    category = row.get("category")
    levels = category if isinstance(category, list) and all(isinstance(x, str) for x in category) else []
    found["category"] = json.dumps([levels], ensure_ascii=False) if levels else ""
    found["weight"] = _text(row.get("sample_weight"))
    found["images"] = json.dumps(list(_images(row.get("images"), path, problems, number)))
    fields = row.get("fields")
    for name, value in (fields if isinstance(fields, dict) else {}).items():
        name = " ".join(name.split())
        if name not in known and len(known) >= MOST_FIELDS:
            problems.add(
                None, CALLER_PREFIX + name, f"not read: more than {MOST_FIELDS} field names in the export"
            )
            continue
        if name:
            known.add(name)
            found[CALLER_PREFIX + name] = _text(value)
    return found


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _images(names: Any, path: Path, problems: Problems, number: int) -> Iterator[str]:
    for name in names if isinstance(names, list) else []:
        if not isinstance(name, str) or not _IMAGE.fullmatch(name):
            problems.add(number, "images", "not an image of this export; it is not opened", str(name))
            continue
        yield name if is_remote(path) else str(path.absolute().parent / name)


def mark(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of an export, told from those of other files."""
    return batch.rename_columns([_MARK + name for name in batch.schema.names])


class FeedbackMerge(NamedTuple):
    """How rows of exports join the rows of other files. names: the column of each part of an export's row;
    None: left out. levels: the columns of the label's levels, where the other files have such. given: what
    every column holds. root: the folder that image paths are relative to."""

    names: Mapping[str, str | None]
    levels: tuple[str, ...]
    given: dict[str, Any]
    root: Path

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch with its final columns; one of another file stays as it is."""
        if not _is_marked(batch):
            return batch
        found: dict[str, pa.Array] = {}
        for marked_name, array in zip(batch.schema.names, batch.columns, strict=True):
            part = marked_name.removeprefix(_MARK)
            name = self.names.get(part, part if part.startswith(CALLER_PREFIX) else None)
            if part == "images":
                array = pa.array([self._relative(cell) for cell in array.to_pylist()], pa.string())
            if part == "category" and self.levels:
                found |= self._level_arrays(array)
            elif name is not None:
                found[name] = array
        return pa.record_batch(list(found.values()), names=list(found))

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


def plan_merge(records: Records, given: dict[str, Any], root: Path, find: _Columns) -> FeedbackMerge | None:
    """How the exports among the records join the others; None: there is none. The columns of the other
    files are found as ever (`find`); an export's parts go into those that hold the same."""
    exports = [batch for batch in records.batches if _is_marked(batch)]
    if not exports:
        return None
    others = Records([batch for batch in records.batches if not _is_marked(batch)])
    theirs = find(others, given) if len(others) else Columns()
    taken = set(others.types)

    def new(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    names: dict[str, str | None] = {}
    for part, usual in _ROLES.items():
        own = getattr(theirs, part)
        # Without these two in the other files, their rows would have no id, and would not be learned from.
        wanted = part not in ("id", "split") or not len(others)
        names[part] = own if own is not None else new(usual) if wanted else None
    names["weight"] = theirs.weight or new("sample_weight")
    names["images"] = new("images")
    levels = _levels(exports, theirs.levels, new) if theirs.category is None else ()
    names["category"] = None if levels else theirs.category or new("category")
    parts = {part for batch in exports for part in (n.removeprefix(_MARK) for n in batch.schema.names)}
    for part in parts:
        own = part.removeprefix(CALLER_PREFIX)
        if part.startswith(CALLER_PREFIX) and own in theirs.fields:
            names[part] = own
    roles: dict[str, Any] = {role: names[role] or "" for role in (*_ROLES, "weight")}
    label = {"levels": levels} if levels else {"category": names["category"]}
    rest = {"date": theirs.date or "", "group": theirs.group or "", "vectors": theirs.vectors}
    images = {"images": (*theirs.images, names["images"])}
    # What the user says of an export alone counts; of a mixture it is about the other files.
    ours = {*roles, *rest, "category", "levels", "images"}
    said = {key: value for key, value in given.items() if key not in ours}
    if not len(others):
        said |= {key: value for key, value in given.items() if value}
        label = {} if "levels" in said else label
    return FeedbackMerge(names, levels, {**roles, **label, **rest, **images, **said}, root)


def _levels(
    exports: list[pa.RecordBatch], theirs: tuple[str, ...], new: Callable[[str], str]
) -> tuple[str, ...]:
    """The other files' columns of levels, and further ones for longer paths."""
    if not theirs:
        return ()
    cells = (cell for batch in exports for cell in batch.column(f"{_MARK}category").to_pylist())
    depth = max((len(_path(cell)) for cell in cells), default=0)
    return (*theirs, *(new(f"level {i + 1}") for i in range(len(theirs), depth)))


def _path(cell: str | None) -> list[str]:
    return json.loads(cell)[0] if cell else []
