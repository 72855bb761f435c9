"""Finds the list of records in a JSON document, such as the answer of a shop's API."""

from collections.abc import Mapping
from typing import Any

from aisle.data.column_names import VAGUE, rank

JsonPath = tuple[str, ...]
# Keys of lists of records, and of objects that hold them, the likeliest first; compared in lower case.
_LISTS = (
    "products",
    "offers",
    "listings",
    "articles",
    "goods",
    "catalog",
    "catalogue",
    "hits",
    "edges",
    "nodes",
)
# Keys that a record may have too.
_VAGUE_LISTS = (
    *("items", "records", "results", "entries", "rows", "documents", "docs", "list", "content", "elements"),
    *("objects", "collection", "_embedded", "response", "payload", "result", "data", "value"),
    *("itemlistelement", "@graph"),
)
_MAX_DEPTH = 6
_SEEN = 20  # items of a list that are looked at


def find_records(document: Any) -> JsonPath | None:
    """The keys that lead to the records of a document.

    Args:
        document: The document, or its beginning.

    Returns:
        The path of an array of objects, or of an object of records (`{"sku1": {…}, "sku2": {…}}`);
        None where the document is itself a record.
    """
    records = _find(document, 0)
    return None if records is None else records[1]


def is_page(item: Any) -> bool:
    """Whether a line of JSON lines is a page of records, not a record; an empty array is none."""
    path = find_records(item) if item else None
    return path is not None and (not path or path[0].lower() in (*_LISTS, *_VAGUE_LISTS))


def records_at(document: Any, path: JsonPath) -> list[Any]:
    """The records of a whole document at a path.

    Args:
        document: The document.
        path: The keys that lead to an array, or to an object of records, whose keys become their ids.

    Returns:
        The records; the document itself where nothing lies at the path.
    """
    for key in path:
        if not isinstance(document, Mapping) or key not in document:
            return [document]
        document = document[key]
    if isinstance(document, Mapping):
        return [{"id": key, **item} if isinstance(item, Mapping) else item for key, item in document.items()]
    return document if isinstance(document, list) else [document]


def _find(value: Any, depth: int) -> tuple[int, JsonPath] | None:
    """(number of records, path) of the likeliest records in a value."""
    if isinstance(value, list):
        return (len(value), ()) if all(isinstance(item, Mapping) for item in value[:_SEEN]) else None
    if not isinstance(value, Mapping) or depth > _MAX_DEPTH:
        return None
    by_name = {str(key).lower(): key for key in reversed(value)}
    for name in _LISTS if _is_record(value) else (*_LISTS, *_VAGUE_LISTS):
        inner = _find(value[by_name[name]], depth + 1) if name in by_name else None
        if inner is not None:
            return inner[0], (by_name[name], *inner[1])
    if _is_record(value):
        return None
    if _is_map_of_records(value):
        return len(value), ()
    below = ((key, _find(item, depth + 1)) for key, item in value.items())
    candidates = [(inner[0], (key, *inner[1])) for key, inner in below if inner is not None and inner[0]]
    return max(candidates, key=lambda pair: (pair[0], -len(pair[1])), default=None)


def _is_record(value: Mapping[str, Any]) -> bool:
    """Whether an object has a title."""
    ranks = (rank("title", key) for key, item in value.items() if isinstance(item, str) and len(key) < 100)
    return any(rank_ is not None and rank_.tier < VAGUE for rank_ in ranks)


def _is_map_of_records(value: Mapping[str, Any]) -> bool:
    """Whether the values are objects with the same keys, at least by half."""
    items = list(value.values())[:_SEEN]
    if len(items) < 2 or not all(isinstance(item, Mapping) and len(item) > 1 for item in items):
        return False
    first = set(items[0])
    # The last one may be cut off.
    return all(2 * len(first & set(item)) >= len(first) for item in items[1:-1] or items[1:])
