"""Readers of file formats. A reader is a `TableReader` whose name is in `__all__`; its endings choose it."""

from pathlib import Path

from aisle.data.files import DOWNLOAD_LOG, TableFile, is_hidden
from aisle.data.readers.base import TableReader
from aisle.data.readers.csv_reader import CsvReader
from aisle.data.readers.json_reader import JsonReader
from aisle.data.readers.parquet_reader import ParquetReader
from aisle.errors import CatalogError, did_you_mean
from aisle.regular_files import special

__all__ = ["CsvReader", "JsonReader", "ParquetReader"]


def reader_of(table: TableFile) -> TableReader:
    """The reader of a file, by its ending; CSV if the ending is unknown."""
    return next((reader for reader in _readers() if table.ending in reader.endings), CsvReader())


def find_tables(source: Path) -> list[TableFile]:
    """The file itself, or all tables in a folder and its subfolders, by name.

    Returns:
        The tables; none in a folder of images. Names that start with `.` or `_` are left out.

    Raises:
        CatalogError: There is no such file, or it is a pipe or a device.
    """
    if source.is_dir():
        endings = {ending for reader in _readers() for ending in reader.folder_endings}
        paths = (path for path in source.rglob("*") if TableFile(path).ending in endings and path.is_file())
        return [
            TableFile(path)
            for path in sorted(paths)
            if path.name != DOWNLOAD_LOG and not is_hidden(path, source)
        ]
    if not source.exists():
        near = [path.name for path in source.parent.iterdir()] if source.parent.is_dir() else []
        raise CatalogError(f"{source}: no such file.{did_you_mean(source.name, near)}")
    kind = special(source)
    if kind is not None:
        raise CatalogError(
            f"{source}: {kind}, not a file. To read what a command writes: aisle … - < {source}"
        )
    return [TableFile(source)]


def _readers() -> list[TableReader]:
    return [globals()[name]() for name in __all__]
