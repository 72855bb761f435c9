"""Column names, text columns and batch sizes that all file formats share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from aisle.data.fix_encoding import fix_encoding
from aisle.data.problems import Problems
from aisle.data.records import BATCH

VECTOR = pa.list_(pa.float32())
CHUNK = 32 * 2**20  # characters or bytes that a batch holds at most, approximately
_Record = TypeVar("_Record")


def chunked(records: Iterable[_Record], size: Callable[[_Record], int]) -> Iterator[list[_Record]]:
    """Group records into lists for one batch each, with fewer records where they are long."""
    records, count = iter(records), 64
    while chunk := list(islice(records, count)):
        yield chunk
        mean = sum(map(size, chunk[:64])) // len(chunk[:64]) + 1
        count = min(BATCH, 16 * count, CHUNK // mean + 1)


def column_names(header: Iterable[Any], problems: Problems, encoding: str = "utf-8") -> list[str]:
    """Column names as valid, unique text; a column without a name is named by its position, `column_3`."""
    names: list[str] = []
    for i, raw in enumerate(header, 1):
        fixed = fix_encoding(str(raw), encoding)
        if fixed.message:
            problems.add(None, fixed.text, f"the column's name: {fixed.message}", fixed.shown)
        name = fixed.text.strip().lstrip("\ufeff") or f"column_{i}"
        base, copy = name, 2
        while name in names:
            name, copy = f"{base}_{copy}", copy + 1
        if name != base:
            problems.add(None, base, f"two columns have this name; the second is read as {name!r}")
        names.append(name)
    return names


def text_array(
    values: Sequence[str | None], row: int, column: str, problems: Problems, encoding: str = "utf-8"
) -> pa.Array:
    """Make an Arrow text column; invalid text is fixed and reported.

    Args:
        values: The cells.
        row: The number of the first record.
        column: The name of the column.
        problems: Receives what was fixed.
        encoding: The encoding of the file.
    """
    try:
        return pa.array(values, pa.string())
    except (UnicodeEncodeError, pa.ArrowException):
        valid = list(values)
        for i, value in enumerate(values):
            if value is None or value.isascii():
                continue
            try:
                value.encode()
            except UnicodeEncodeError:
                valid[i], message, shown = fix_encoding(value, encoding)
                problems.add(row + i, column, message, shown)
        return pa.array(valid, pa.string())


def text_batches(
    records: Iterable[Sequence[str]],
    names: Sequence[str],
    first: int,
    problems: Problems,
    encoding: str = "utf-8",
) -> Iterator[pa.RecordBatch]:
    """Batches of text columns; one without rows where there are no records.

    Args:
        records: The cells of each record, in the order of `names`.
        names: The columns.
        first: The number of the first record.
        problems: Receives invalid text, which is fixed.
        encoding: The encoding of the file.
    """
    row = first
    for chunk in chunked(records, lambda record: sum(map(len, record))):
        columns = [
            text_array(values, row, name, problems, encoding)
            for name, values in zip(names, zip(*chunk, strict=True), strict=True)
        ]
        yield pa.record_batch(columns, names=names)
        row += len(chunk)
    if row == first:
        yield pa.record_batch([pa.array([], pa.string()) for _ in names], names=names)
