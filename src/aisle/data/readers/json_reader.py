"""JSON and JSON lines."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from aisle.data import feedback_export
from aisle.data.files import TableFile, lines_of, text_pieces
from aisle.data.json_tables import rows_to_batches
from aisle.data.nested_values import unwrap
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions, TableReader, detect_encoding
from aisle.data.readers.json_records import JsonPath, find_records, is_page, records_at
from aisle.data.readers.json_stream import JsonError, JsonText, parse_prefix, stream_records
from aisle.errors import CatalogError

HEAD = 2 * 2**20  # characters by which the list of records is found
PIECE = 2**18  # characters read at once
_LINES = 3  # first lines of which one is an object in JSON lines


class JsonReader(TableReader):
    """JSON lines, an array, or an object that holds the records at any depth, such as an API's answer."""

    endings = (".jsonl", ".ndjson", ".json")
    folder_endings = (".jsonl", ".ndjson")

    def read(
        self, table: TableFile, problems: Problems, first: int, options: ReadOptions
    ) -> Iterator[pa.RecordBatch]:
        """Read a file; the keys of its objects are the columns."""
        encoding = detect_encoding(table, problems, options, csv=False)
        options.note(encoding=encoding)
        rows = _objects(_items(table, encoding, problems, first), problems, first)
        start = list(islice(rows, 1))
        rows = chain(start, rows)
        if start and feedback_export.is_row(start[0]):
            rows = feedback_export.flat_rows(rows, table.path, problems, first)
            yield from map(feedback_export.mark, rows_to_batches(rows, problems, first, encoding))
        else:
            yield from rows_to_batches(map(unwrap, rows), problems, first, encoding)

    def objects(self, table: TableFile, encoding: str | None = None) -> Iterator[Mapping[str, Any]]:
        """The records of a file as they are written.

        Args:
            table: The file.
            encoding: Its encoding. Default: detected.

        Raises:
            CatalogError: The file is not JSON, or ends in its middle.
        """
        problems = Problems()
        name = encoding or detect_encoding(table, problems, ReadOptions(), csv=False)
        return _objects(_items(table, name, problems, 1), problems, 1)


def _items(table: TableFile, encoding: str, problems: Problems, first: int) -> Iterator[Any]:
    head = next(text_pieces(table, encoding, HEAD), "")
    if _is_lines(head, table.ending):
        return _expand_pages(_parse_lines(lines_of(table, encoding), problems, first))
    return _document_items(table, encoding, head)


def is_json_lines(table: TableFile, encoding: str) -> bool:
    """Whether a file is read as JSON lines, not as one document."""
    return _is_lines(next(text_pieces(table, encoding, HEAD), ""), table.ending)


def _is_lines(head: str, suffix: str) -> bool:
    """Whether a file has one value per line; the ending decides where the content allows both."""
    lines = [line for line in head.splitlines() if line.strip("\ufeff \t")]
    are_objects = [_is_object(line) for line in lines[:_LINES]]
    if suffix == ".json":  # one object is a document; an array may have an object in a line by itself
        return len(lines) > 1 and are_objects[0]
    with suppress(JsonError):
        return (
            any(are_objects)
            or not head.lstrip("\ufeff \t\r\n").startswith(("[", "{"))
            or not parse_prefix(head)
        )
    return True


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line.strip("\ufeff")), dict | list)
    except (ValueError, RecursionError):
        return False


def _document_items(table: TableFile, encoding: str, head: str) -> Iterator[Any]:
    """The records of one JSON document, or of several one after the other.

    Raises:
        CatalogError: The file is not JSON, or ends in its middle.
    """
    start = head.lstrip("\ufeff \t\r\n")[:20]
    if not start.startswith(("[", "{")):
        raise CatalogError(
            f"{table.path}: {f'not JSON: it begins with {start!r}' if start else 'the file is empty'}"
        )
    source = JsonText(text_pieces(table, encoding, PIECE))
    try:
        path = find_records(parse_prefix(head)[0])
        yield from [source.value()] if path is None else stream_records(source, path)
        while source.peek():  # documents of several lines each, or pages
            yield from [source.value()] if path is None else records_at(source.value(), path)
    except JsonError as error:
        message = (
            f"the JSON ends in its middle: {error}: the file is cut off"
            if error.cut_off
            else f"not JSON: {error}"
        )
        raise CatalogError(f"{table.path}: {message}") from error


def _parse_lines(lines: Iterable[str], problems: Problems, first: int) -> Iterator[Any]:
    """The value of each line; a line that is not JSON is an empty object."""
    row = first
    for line in lines:
        if not line.strip("\ufeff \t\r\n"):
            continue
        try:
            item = json.loads(line.lstrip("\ufeff"))
        except (ValueError, RecursionError) as error:
            problems.add(row, None, f"not JSON: {str(error).split(':')[0]}", line.strip(), fatal=True)
            item = {}
        yield item
        row += 1


def _expand_pages(items: Iterator[Any]) -> Iterator[Any]:
    """The records of pages, where the first line is a page; else the items as they are."""
    start = list(islice(items, 1))
    items = chain(start, items)
    path: JsonPath | None = find_records(start[0]) if start and is_page(start[0]) else None
    return items if path is None else (row for item in items for row in records_at(item, path))


def _objects(items: Iterable[Any], problems: Problems, first: int) -> Iterator[Mapping[str, Any]]:
    for row, item in enumerate(items, first):
        if not isinstance(item, dict):
            problems.add(row, None, "a JSON object was expected", str(item), fatal=True)
            item = {}
        yield item
