"""JSON, JSON lines and rows in memory as record batches."""

import datetime
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa

from aisle.data import feedback_export
from aisle.data.batches import VECTOR, chunked, column_names, text_array
from aisle.data.files import TableFile, lines_of
from aisle.data.problems import Problems
from aisle.encodings import KEPT
from aisle.errors import CatalogError


def read_json(table: TableFile, encoding: str, problems: Problems, first: int) -> Iterator[pa.RecordBatch]:
    """The batches of a JSON or JSONL file; its records are numbered from `first`."""
    lines = lines_of(table, encoding)
    if table.format == "json":
        lines = _array_items(table, "".join(lines))
    rows = _parse_rows(lines, problems, first)
    head = list(islice(rows, 1))
    rows = chain(head, rows)
    if head and feedback_export.is_row(head[0]):
        rows = feedback_export.flat_rows(rows, table.path, problems, first)
        yield from map(feedback_export.mark, rows_to_batches(rows, problems, first, encoding))
    else:
        yield from rows_to_batches(rows, problems, first, encoding)


def rows_to_batches(
    rows: Iterable[Mapping[str, Any]], problems: Problems, first: int, encoding: str = "utf-8"
) -> Iterator[pa.RecordBatch]:
    """The batches of rows held as mappings; a later batch has the columns that turn up later too."""
    keys: dict[str, None] = {}
    row, names = first, []
    for chunk in chunked(rows, _size):
        for item in chunk:
            for key in item:
                keys.setdefault(key)
        if len(keys) > len(names):  # the problems of earlier names are reported already
            names = column_names(keys, Problems() if names else problems, encoding)
        columns = [
            _column([item.get(key) for item in chunk], row, name, problems, encoding)
            for key, name in zip(keys, names, strict=True)
        ]
        if names:
            yield pa.record_batch(columns, names=names)
        else:  # objects without a single key are rows too
            yield pa.record_batch([pa.nulls(len(chunk), pa.string())], names=["column_1"])
        row += len(chunk)


def as_text(value: Any) -> str | None:
    """A value as a person would write it: floats without exponents, lists as JSON, nothing as None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return plain_float(float(value))
    if isinstance(value, int | np.integer):
        return str(int(value)) if abs(int(value)) < 10**4000 else f"{int(value):x}"
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", KEPT)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError, TypeError):
        return str(type(value).__name__)


def plain_float(value: float) -> str | None:
    """`5.0` -> `5`, `1e-05` -> `0.00001`; NaN -> None."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return np.format_float_positional(value, trim="-")


def _array_items(table: TableFile, text: str) -> Iterator[Any]:
    """The objects of one JSON array; a `.json` file of one object a line is read as JSONL."""
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


def _size(item: Mapping[str, Any]) -> int:
    return sum(len(value) for value in item.values() if isinstance(value, str | bytes))


def _column(values: list[Any], row: int, name: str, problems: Problems, encoding: str) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bytes}:
        return pa.array(values, pa.binary())
    if kinds == {np.ndarray} and all(v is None or v.dtype.kind in "fiub" for v in values):
        return pa.array([None if v is None else v.astype(np.float32) for v in values], VECTOR)
    return text_array([as_text(value) for value in values], row, name, problems, encoding)
