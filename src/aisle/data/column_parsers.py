"""Parses Arrow columns: distinct values, blank cells, hashes, weights and dates."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as _compute

from aisle.data import dates
from aisle.data.problems import Problems
from aisle.data.records import Records
from aisle.errors import CatalogError

pc: Any = _compute  # its functions are made at run time, unknown to type checkers


class DictionaryEncoded(NamedTuple):
    """A column of n values.

    Attributes:
        codes: (n,) int32 positions in `values`.
        values: The distinct values in order of appearance.
    """

    codes: np.ndarray
    values: list[str]


def encode(arrays: Iterator[pa.Array]) -> DictionaryEncoded:
    """Dictionary-encode a text column; null counts as blank. Memory grows with the distinct values."""
    known: dict[str, int] = {}
    codes: list[np.ndarray] = []
    for array in arrays:
        encoded = pc.fill_null(as_text(array), "").dictionary_encode()
        numbers = [known.setdefault(value, len(known)) for value in encoded.dictionary.to_pylist()]
        codes.append(np.array(numbers, np.int32)[encoded.indices.to_numpy(zero_copy_only=False)])
    return DictionaryEncoded(np.concatenate(codes) if codes else np.empty(0, np.int32), list(known))


def codes(arrays: Iterator[pa.Array]) -> np.ndarray:
    """(n,) int64 codes of the values of a text column; -1 where blank."""
    coded = encode(arrays)
    blank = np.array([not value.strip() for value in coded.values], dtype=bool)
    return np.where(blank[coded.codes], -1, coded.codes).astype(np.int64)


def value_counts(arrays: Iterator[pa.Array], limit: int) -> dict[str, int] | None:
    """Count the values of a text column, without blanks; None if there are more than `limit`."""
    counts: Counter[str] = Counter()
    for array in arrays:
        for item in array.value_counts().to_pylist():
            if item["values"] and item["values"].strip():
                counts[item["values"]] += item["counts"]
        if len(counts) > limit:
            return None
    return dict(counts)


def as_text(array: pa.Array) -> pa.Array:
    """A text column as it is, a column of nulls as text.

    Raises:
        CatalogError: The column holds bytes or vectors.
    """
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_null(array.type):
        return array.cast(pa.string())
    raise CatalogError(f"a column of {array.type} was given a role that needs text")


def filled(array: pa.Array) -> np.ndarray:
    """(n,) bool: which cells are not blank."""
    if pa.types.is_string(array.type):
        present = pc.not_equal(pc.utf8_trim_whitespace(array), "")
    elif pa.types.is_list(array.type):
        present = pc.greater(pc.list_value_length(array), 0)
    elif pa.types.is_binary(array.type):
        present = pc.greater(pc.binary_length(array), 0)
    else:
        present = array.is_valid()
    return pc.fill_null(present, False).to_numpy(zero_copy_only=False)


def hash_cells(array: pa.Array) -> np.ndarray:
    """(n,) int64 hashes of text, bytes or lists, equal for equal cells; other processes have others."""
    cells = (tuple(cell) if isinstance(cell, list) else cell or None for cell in array.to_pylist())
    return np.fromiter(map(hash, cells), np.int64, len(array))


def read_weights(records: Records, column: str | None, problems: Problems) -> np.ndarray | None:
    """(n,) float64 sample weights; None without the column. An invalid cell counts as 1."""
    if column is None:
        return None
    encoded = encode(records.column(column))
    weights = np.array([parse_weight(text) for text in encoded.values] or [1.0])[encoded.codes]
    for i in np.flatnonzero(np.isnan(weights)):
        message = "not a weight (a number, 0 or more); read as 1"
        problems.add(int(i) + 1, column, message, encoded.values[encoded.codes[i]])
    return np.where(np.isnan(weights), 1.0, weights)


def parse_weight(text: str) -> float:
    """A finite number of at least 0; 1 if blank; NaN if it is anything else."""
    try:
        value = float(text) if text.strip() else 1.0
    except ValueError:
        return np.nan
    return value if 0 <= value < np.inf else np.nan


def read_dates(
    records: Records, column: str | None, problems: Problems, date_format: str | None = None
) -> dates.Dates | None:
    """n dates, NaT where blank or unreadable; None without the column.

    Args:
        records: The records.
        column: The date column.
        problems: Receives what is wrong.
        date_format: The format, as `strptime` takes it. Default: detected over the column.

    Raises:
        CatalogError: `date_format` is no date format.
    """
    if column is None:
        return None
    encoded = encode(records.column(column))
    parsed = dates.parse_dates(encoded.values or [""], date_format)
    values, ambiguous = parsed.values[encoded.codes], parsed.ambiguous[encoded.codes]
    if parsed.ambiguity:
        problems.add(None, column, f"the order of day and month is unclear: {parsed.ambiguity}")
    message = (
        f"not a date in the format {date_format}" if date_format else "not a date; write it as 2026-03-31"
    )
    for i in np.flatnonzero(np.isnat(values) & ~ambiguous):
        text = encoded.values[encoded.codes[i]]
        if text.strip():
            problems.add(int(i) + 1, column, message, text)
    return dates.Dates(values, parsed.ambiguity, ambiguous)
