"""Reads the objects by which a JSON file writes its categories: `{"id": 22, "name": "Headphones"}`."""

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from aisle.data.files import TableFile
from aisle.data.json_tables import as_text
from aisle.data.nested_values import unwrap
from aisle.data.readers import reader_of
from aisle.data.readers.json_reader import JsonReader
from aisle.errors import CatalogError

LISTED = "[]"  # in place of a name: the categories of a product are a list
_ROWS, _OBJECTS = 20_000, 5_000  # that are looked at, and kept
_LENGTH = 1_000  # characters of an object that is kept


def category_objects(path: Path, column: str, encoding: str | None = None) -> dict[str, Any]:
    """The objects by which a JSON file writes its categories.

    Args:
        path: The file.
        column: The category column.
        encoding: Its encoding. Default: detected.

    Returns:
        Text of the category as it is read -> the object; `[]` is a key too where products have a list of
        them. Nothing for files of other formats, and where categories are plain text.
    """
    table = TableFile(path)
    reader = reader_of(table)
    found: dict[str, Any] = {}
    if not isinstance(reader, JsonReader):
        return found
    try:
        for record in islice(reader.objects(table, encoding), _ROWS):
            _add(found, unwrap(record).get(column))
    except (CatalogError, OSError):  # it was read, and is reported, elsewhere
        return {}
    return found


def _add(found: dict[str, Any], value: Any) -> None:
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        found.setdefault(LISTED, True)
        for item in value:
            _add(found, item)
    elif isinstance(value, Mapping) and len(found) < _OBJECTS:
        text = as_text(value)
        if not text or text.startswith(("{", "[{")):  # an object without a name
            return
        if len(json.dumps(value, default=str)) <= _LENGTH:
            found.setdefault(text, value)


def object_of(objects: Mapping[str, Any], name: str) -> str:
    """The JSON text of the object of a category; one of its name alone where the file has none."""
    return json.dumps(objects.get(name, {"name": name}), ensure_ascii=False)
