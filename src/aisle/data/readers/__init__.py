"""Readers of file formats. A reader is a `TableReader` whose name is in `__all__`; its endings choose it."""

import lzma
import zlib
from pathlib import Path

import pyarrow as pa

from aisle.data.files import DOWNLOAD_LOG, TableFile, is_hidden
from aisle.data.readers.arrow_reader import ArrowReader
from aisle.data.readers.base import TableReader
from aisle.data.readers.csv_reader import CsvReader
from aisle.data.readers.dataset_folders import saved_tables, with_splits
from aisle.data.readers.json_reader import JsonReader
from aisle.data.readers.parquet_reader import ParquetReader
from aisle.data.readers.spreadsheet_reader import SpreadsheetReader
from aisle.data.readers.xml_reader import XmlReader
from aisle.encodings import HEAD, document_ending
from aisle.errors import CatalogError, did_you_mean
from aisle.regular_files import special

__all__ = ["ArrowReader", "CsvReader", "JsonReader", "ParquetReader", "SpreadsheetReader", "XmlReader"]

_BINARY = (b"PK", b"\xd0\xcf", b"\x09\x08")  # start a workbook


def reader_of(table: TableFile) -> TableReader:
    """The reader of a file, by its ending; text, spreadsheets and unknown endings also by their content.

    A shop's `.xls` is often a table in HTML, XML or text, and a feed's address often has no ending.
    """
    reader = _by_ending(table.ending)
    if reader is not None and not isinstance(reader, CsvReader | SpreadsheetReader):
        return reader
    try:
        with table.open() as file:
            head = file.read(HEAD)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException):
        return reader or CsvReader()  # it says what is wrong with the file
    if isinstance(reader, SpreadsheetReader) and head.startswith(_BINARY):
        return reader
    return _by_ending(document_ending(head)) or CsvReader()


def _by_ending(suffix: str | None) -> TableReader | None:
    return next((reader for reader in _readers() if suffix in reader.endings), None)


def find_tables(source: Path) -> list[TableFile]:
    """The file itself, or all tables in a folder and its subfolders, by name.

    Returns:
        The tables; none in a folder of images. Names that start with `.` or `_` are left out.

    Raises:
        CatalogError: There is no such file, or it is a pipe or a device.
    """
    if source.is_dir():
        saved = saved_tables(source)
        if saved is not None:
            return saved
        endings = {suffix for reader in _readers() for suffix in reader.folder_endings}
        paths = (path for path in source.rglob("*") if TableFile(path).ending in endings and path.is_file())
        tables = [
            TableFile(path)
            for path in sorted(paths)
            if path.name != DOWNLOAD_LOG and not is_hidden(path, source)
        ]
        return with_splits(tables, source)
    if not source.exists():
        neighbors = [path.name for path in source.parent.iterdir()] if source.parent.is_dir() else []
        raise CatalogError(f"{source}: no such file.{did_you_mean(source.name, neighbors)}")
    kind = special(source)
    if kind is not None:
        raise CatalogError(
            f"{source}: {kind}, not a file. To read what a command writes: aisle … - < {source}"
        )
    return [TableFile(source)]


def _readers() -> list[TableReader]:
    return [globals()[name]() for name in __all__]
