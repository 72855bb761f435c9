"""A catalog's own rows to a file again, with a column more: what is read back is equal."""

import csv
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aisle.data.catalog import Catalog
from aisle.errors import CatalogError

_PIECE = 4096  # rows


def write_rows(catalog: Catalog, path: Path, column: str, values: np.ndarray) -> None:
    """Every row as the source has it, and `values` (n,) of text under `column`, whatever stood there.

    By its ending the file is CSV, TSV, JSON lines or Parquet; it is written beside and renamed.

    Raises:
        CatalogError: another ending, a format that cannot hold the columns, or the disk refuses.
    """
    check_ending(path, catalog)
    write_tables(_pieces(catalog, column, values), path)


def write_tables(pieces: Iterator[pa.Table], path: Path) -> None:
    """Tables of one schema, at least one, to a file: written under a temporary name, then renamed.

    Raises:
        CatalogError: the disk refuses.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        _WRITERS[path.suffix.lower()](pieces, beside)
        beside.replace(path)
    except OSError as error:
        raise CatalogError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def check_ending(path: Path, catalog: Catalog | None = None) -> None:
    """Whether a catalog can be written there, before any work is done for nothing.

    Raises:
        CatalogError: it cannot.
    """
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise CatalogError(f"{path}: rows are written as {known}; name a file ending in one")
    if not path.absolute().parent.is_dir():
        raise CatalogError(f"{path}: folder {path.absolute().parent} does not exist")
    if catalog is None:
        return
    if any(part.path.exists() and path.exists() and part.path.samefile(path) for part in catalog.files):
        raise CatalogError(f"{path} is the catalog itself; name another file")
    types = catalog.table.schema
    held = [name for name in catalog.names if not pa.types.is_string(types.field(name).type)]
    held = [name for name in held if not pa.types.is_null(types.field(name).type)]
    if held and ending != ".parquet":
        raise CatalogError(f"{path}: column {held[0]!r} holds bytes or vectors; write a .parquet file")


def _pieces(catalog: Catalog, column: str, values: np.ndarray) -> Iterator[pa.Table]:
    table = catalog.table
    place = table.column_names.index(column) if column in table.column_names else table.num_columns
    if place < table.num_columns:
        table = table.remove_column(place)
    for start in range(0, max(table.num_rows, 1), _PIECE):
        piece = table.slice(start, _PIECE)
        text = pa.array(values[start : start + _PIECE], pa.string())
        yield piece.add_column(place, column, text)


def _delimited(pieces: Iterator[pa.Table], path: Path, delimiter: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        for number, piece in enumerate(pieces):
            if number == 0:
                writer.writerow(piece.column_names)
            writer.writerows(zip(*(column.to_pylist() for column in piece.columns), strict=True))


def _jsonl(pieces: Iterator[pa.Table], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for piece in pieces:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in piece.to_pylist())


def _parquet(pieces: Iterator[pa.Table], path: Path) -> None:
    first = next(pieces)
    with pq.ParquetWriter(str(path), first.schema) as writer:
        writer.write_table(first)
        for piece in pieces:
            writer.write_table(piece)


_WRITERS: dict[str, Callable[[Iterator[pa.Table], Path], Any]] = {
    ".csv": lambda pieces, path: _delimited(pieces, path, ","),
    ".tsv": lambda pieces, path: _delimited(pieces, path, "\t"),
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
