"""JSON and JSON lines."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from aisle.data import feedback_export
from aisle.data.files import TableFile, lines_of
from aisle.data.json_tables import rows_to_batches
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions, TableReader, detect_encoding
from aisle.errors import CatalogError


class JsonReader(TableReader):
    """JSON lines, one JSON array, or one object that holds an array."""

    endings = (".jsonl", ".ndjson", ".json")
    folder_endings = (".jsonl", ".ndjson")

    def read(
        self, table: TableFile, problems: Problems, first: int, options: ReadOptions
    ) -> Iterator[pa.RecordBatch]:
        """Read a file; the keys of its objects are the columns."""
        encoding = detect_encoding(table, problems, options, csv=False)
        options.note(encoding=encoding)
        lines: Iterator[Any] = lines_of(table, encoding)
        if table.ending == ".json":
            lines = _array_items(table, "".join(lines))
        rows = _parse_rows(lines, problems, first)
        head = list(islice(rows, 1))
        rows = chain(head, rows)
        if head and feedback_export.is_row(head[0]):
            rows = feedback_export.flat_rows(rows, table.path, problems, first)
            yield from map(feedback_export.mark, rows_to_batches(rows, problems, first, encoding))
        else:
            yield from rows_to_batches(rows, problems, first, encoding)


def _array_items(table: TableFile, text: str) -> Iterator[Any]:
    """The objects of one JSON array; a `.json` file of one object per line is read as JSONL."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        if "\n" in text.strip():
            return iter(text.splitlines(keepends=True))
        raise CatalogError(f"{table.path}: not JSON: {error}") from error
    if isinstance(data, dict):  # {"products": [{…}, …]}
        lists = [v for v in data.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        data = lists[0] if len(lists) == 1 else [data]
    return iter(data if isinstance(data, list) else [data])


def _parse_rows(lines: Iterable[Any], problems: Problems, first: int) -> Iterator[Mapping[str, Any]]:
    row = first
    for item in lines:
        if isinstance(item, str):
            if not item.strip():
                continue
            try:
                item = json.loads(item)
            except (ValueError, RecursionError) as error:
                problems.add(row, None, f"not JSON: {str(error).split(':')[0]}", item.strip(), fatal=True)
                item = {}
        if not isinstance(item, dict):
            problems.add(row, None, "a JSON object was expected", str(item), fatal=True)
            item = {}
        yield item
        row += 1
