"""Writes the rows of a catalog to a file, with more columns."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aisle.atomic_files import atomic_path, check_parent_folder, wrap_write_errors
from aisle.data.catalog import Catalog
from aisle.errors import CatalogError

_CHUNK = 4096  # rows


def write_rows(catalog: Catalog, path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write all rows as the source has them, and more columns.

    Of a shop export, rows of variants are written too, with the value of their product.

    Args:
        catalog: The rows.
        path: The output file: CSV, TSV, JSON lines or Parquet, by its ending. It is written under a temporary
            name and renamed.
        columns: (n,) text by name of the column. A column of this name is replaced.

    Raises:
        CatalogError: The ending is unknown, the format lacks a type, or the file cannot be written.
    """
    check_output(path, catalog)
    write_tables(_chunks(catalog, columns), path)


def write_tables(chunks: Iterator[pa.Table], path: Path) -> None:
    """Write tables of one schema, at least one, to a file, under a temporary name that is then renamed.

    Raises:
        CatalogError: The file cannot be written.
    """
    with wrap_write_errors(path, CatalogError), atomic_path(path) as temporary:
        _WRITERS[path.suffix.lower()](chunks, temporary)


def check_output(path: Path, catalog: Catalog | None = None) -> None:
    """Check that a catalog can be written to a file.

    Raises:
        CatalogError: It cannot.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise CatalogError(f"{path}: rows are written as {known}; name a file ending in one")
    check_parent_folder(path, CatalogError)
    if catalog is None:
        return
    if any(part.path.exists() and path.exists() and part.path.samefile(path) for part in catalog.files):
        raise CatalogError(f"{path} is the catalog itself; name another file")
    types = catalog.table.schema
    not_text = [name for name in catalog.names if not pa.types.is_string(types.field(name).type)]
    not_text = [name for name in not_text if not pa.types.is_null(types.field(name).type)]
    if not_text and suffix != ".parquet":
        raise CatalogError(f"{path}: column {not_text[0]!r} holds bytes or vectors; write a .parquet file")


def _chunks(catalog: Catalog, columns: Mapping[str, np.ndarray]) -> Iterator[pa.Table]:
    table = catalog.table
    if catalog.dialect is not None:
        product = catalog.source_rows
        table = catalog.source_table.filter(pa.array(product >= 0))
        rows = product[product >= 0]
        columns = {name: np.asarray(values, dtype=object)[rows] for name, values in columns.items()}
    for start in range(0, max(table.num_rows, 1), _CHUNK):
        chunk = table.slice(start, _CHUNK)
        for name, values in columns.items():
            text = pa.array(values[start : start + _CHUNK], pa.string())
            if name in chunk.column_names:
                chunk = chunk.set_column(chunk.column_names.index(name), name, text)
            else:
                chunk = chunk.append_column(name, text)
        yield chunk


def _delimited(chunks: Iterator[pa.Table], path: Path, delimiter: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        for number, chunk in enumerate(chunks):
            if number == 0:
                writer.writerow(chunk.column_names)
            writer.writerows(zip(*(column.to_pylist() for column in chunk.columns), strict=True))


def _jsonl(chunks: Iterator[pa.Table], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for chunk in chunks:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in chunk.to_pylist())


def _parquet(chunks: Iterator[pa.Table], path: Path) -> None:
    first = next(chunks)
    with pq.ParquetWriter(str(path), first.schema) as writer:
        writer.write_table(first)
        for chunk in chunks:
            writer.write_table(chunk)


_WRITERS: dict[str, Callable[[Iterator[pa.Table], Path], Any]] = {
    ".csv": lambda chunks, path: _delimited(chunks, path, ","),
    ".tsv": lambda chunks, path: _delimited(chunks, path, "\t"),
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
