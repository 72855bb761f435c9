"""Converts mappings (JSON objects, rows in memory) to record batches."""

import datetime
import decimal
import json
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from aisle.data.batches import VECTOR, chunked, column_names, text_array
from aisle.data.nested_values import simplify
from aisle.data.problems import Problems
from aisle.encodings import KEPT


def rows_to_batches(
    rows: Iterable[Mapping[str, Any]], problems: Problems, first: int, encoding: str = "utf-8"
) -> Iterator[pa.RecordBatch]:
    """Make record batches of rows.

    Args:
        rows: Mappings of column names to values.
        problems: Receives what is wrong with names and values.
        first: The number of the first row.
        encoding: The encoding of the file that the rows come from.

    Yields:
        Record batches; a batch has the columns of all rows up to its end.
    """
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
    """A value as text: floats without exponents, lists and objects as JSON; None stays None."""
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
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.time | datetime.timedelta | uuid.UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", KEPT)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    value = simplify(value)
    if isinstance(value, str):
        return value
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


def _size(item: Mapping[str, Any]) -> int:
    return sum(len(value) for value in item.values() if isinstance(value, str | bytes))


def _column(values: list[Any], row: int, name: str, problems: Problems, encoding: str) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bytes}:
        return pa.array(values, pa.binary())
    if kinds == {np.ndarray} and all(v is None or v.dtype.kind in "fiub" for v in values):
        return pa.array([None if v is None else v.astype(np.float32) for v in values], VECTOR)
    return text_array([as_text(value) for value in values], row, name, problems, encoding)
