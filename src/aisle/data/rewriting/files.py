"""Rewrites one file of a catalog, by its format."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from aisle.data.files import TableFile
from aisle.data.readers import reader_of
from aisle.data.readers.base import ReadOptions, TableReader
from aisle.data.readers.csv_reader import CsvReader
from aisle.data.readers.json_reader import JsonReader
from aisle.data.readers.parquet_reader import ParquetReader
from aisle.data.readers.spreadsheet_reader import SpreadsheetReader
from aisle.data.readers.xml_reader import XmlReader
from aisle.data.rewriting.csv_cells import rewrite_csv
from aisle.data.rewriting.edits import CellEditor, RewriteSummary
from aisle.data.rewriting.json_cells import rewrite_json
from aisle.data.rewriting.parquet_cells import rewrite_parquet
from aisle.data.rewriting.workbook_cells import ENDINGS as WORKBOOKS
from aisle.data.rewriting.workbook_cells import rewrite_workbook
from aisle.data.rewriting.xml_cells import is_document, rewrite_xml

_Rewriter = Callable[[TableFile, BinaryIO, CellEditor, ReadOptions], RewriteSummary]
REWRITERS: dict[type[TableReader], _Rewriter] = {
    CsvReader: rewrite_csv,
    JsonReader: rewrite_json,
    ParquetReader: rewrite_parquet,
    SpreadsheetReader: rewrite_workbook,
    XmlReader: rewrite_xml,
}


def can_rewrite(file: Path) -> bool:
    """Whether a file can be rewritten, by its ending and content."""
    table = TableFile(file)
    kind = type(reader_of(table))
    if kind is SpreadsheetReader:
        return table.ending in WORKBOOKS
    if kind is XmlReader:
        return is_document(table)
    if kind is ParquetReader:
        return not table.compressed
    return kind in REWRITERS


def rewrite(
    table: TableFile,
    out: Path,
    editor: CellEditor,
    options: ReadOptions = ReadOptions(),  # noqa: B008
) -> RewriteSummary:
    """Copy a file of a catalog and set cells.

    Args:
        table: The file.
        out: The new file, packed as its ending names.
        editor: Gives the new cells.
        options: How the file is read.

    Raises:
        CatalogError: The file cannot be read.
        OSError: The new file cannot be written.
    """
    with _packed(out) as file:
        return REWRITERS[type(reader_of(table))](table, file, editor, options)


@contextmanager
def _packed(path: Path) -> Iterator[BinaryIO]:
    ending = path.suffix.lower()
    with path.open("wb") as file:
        if ending == ".gz":
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                yield packed  # type: ignore[misc]
        elif ending in (".bz2", ".xz"):
            opened: Any = bz2.open if ending == ".bz2" else lzma.open
            with opened(file, "wb") as packed:
                yield packed
        elif ending in (".zst", ".zstd"):
            with pa.CompressedOutputStream(pa.PythonFile(file, "w"), "zstd") as packed:
                yield packed  # type: ignore[misc]
        else:
            yield file
