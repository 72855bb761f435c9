"""Data frames, Arrow tables and series as rows. Imports neither pandas nor polars."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aisle.data.arrow_tables import arrow_batches
from aisle.data.json_tables import rows_to_batches
from aisle.data.problems import Problems
from aisle.errors import CatalogError, SourceTypeError, first_line

_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")  # how pandas exports an index without a name


def frame_batches(frame: Any, problems: Problems) -> Iterator[pa.RecordBatch]:
    """The record batches of a data frame or Arrow table.

    The named index of a pandas frame is a column, its other indexes are not.

    Args:
        frame: An object with `__arrow_c_stream__`.
        problems: Receives what is wrong with names and values.

    Raises:
        SourceTypeError: It is a single column.
        CatalogError: Two columns have the same name.
    """
    table = _to_table(frame)
    if isinstance(table, list):
        return rows_to_batches(table, problems, 1)
    columns = [name for name in table.column_names if not _UNNAMED_INDEX.fullmatch(name)]
    return arrow_batches(table if len(columns) == table.num_columns else table.select(columns), problems)


def pandas_index(source: Any) -> Any:
    """The index of a pandas DataFrame or Series; None for other objects."""
    is_pandas = type(source).__module__.partition(".")[0] == "pandas"
    return getattr(source, "index", None) if is_pandas else None


def column_values(source: Any) -> list[Any] | None:
    """The values of a single column: a Series, an Arrow array or a 1-D NumPy array.

    Returns:
        The values, missing ones as None; None for other objects.
    """
    if isinstance(source, np.ndarray):
        return _without_nan(source.tolist()) if source.ndim == 1 else None
    if isinstance(source, pa.Array | pa.ChunkedArray):
        return source.to_pylist()
    if type(source).__name__ == "Series" and hasattr(source, "to_list"):
        return _without_nan(source.to_list())
    return None


def _without_nan(values: Sequence[Any]) -> list[Any]:
    """The values, with None where a value does not equal itself (NaN, NaT) or says neither (`pandas.NA`)."""
    return [None if _is_missing(value) else value for value in values]


def _is_missing(value: Any) -> bool:
    if value is None or isinstance(value, str | bytes | Mapping | list | np.ndarray):
        return value is None
    try:
        return bool(value != value)
    except TypeError:
        return True


def _to_table(frame: Any) -> pa.Table | list[dict[str, Any]]:
    """The frame as an Arrow table; as rows where its columns hold Python objects."""
    if column_values(frame) is not None:
        raise SourceTypeError(
            f"a catalog is read from a data frame, not from one column ({type(frame).__name__})"
        )
    try:
        if hasattr(frame, "to_dicts") and "Object" in map(str, frame.dtypes):  # polars would export pointers
            return frame.to_dicts()
        return pa.table(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        if not hasattr(frame, "to_dict") or not hasattr(frame, "columns"):
            raise
    except ValueError as error:
        raise CatalogError(f"the given {type(frame).__name__}: {first_line(error)}") from None
    columns = {str(name): _without_nan(frame[name].tolist()) for name in frame.columns}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
