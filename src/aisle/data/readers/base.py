"""Base class of readers of file formats, and the reading options."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import pyarrow as pa

from aisle.data.catalog_format import CatalogFormat
from aisle.data.files import TableFile
from aisle.data.problems import Problems
from aisle.encodings import SAMPLE, detect, foreign_format, foreign_text
from aisle.errors import CatalogError

_SAMPLE_BYTES = 256 * 1024  # of a file, by which its number of rows is estimated


class ReadOptions(NamedTuple):
    """Options of reading a source.

    Attributes:
        delimiter: The field delimiter of CSV files. Default: detected.
        encoding: The text encoding. Default: detected.
        like: The format of an earlier catalog, which is tried first.
        detected: Receives the delimiter and encoding of the first file.
        max_expanded: Bytes that a compressed file may unpack to. Default: by its size.
    """

    delimiter: str | None = None
    encoding: str | None = None
    like: CatalogFormat | None = None
    detected: dict[str, str] | None = None
    max_expanded: int | None = None

    def note(self, **found: str) -> None:
        """Record the options that the first file is read with."""
        if self.detected is not None:
            self.detected.update({key: value for key, value in found.items() if key not in self.detected})


class TableReader(ABC):
    """Reads the tables of one file format.

    Attributes:
        endings: The endings of its files, in lower case. Compression (`.gz`) may follow.
        folder_endings: Those that are looked for in a folder, where other files may have the rest.
    """

    endings: ClassVar[tuple[str, ...]]
    folder_endings: ClassVar[tuple[str, ...]]

    @abstractmethod
    def read(
        self, table: TableFile, problems: Problems, first: int, options: ReadOptions
    ) -> Iterator[pa.RecordBatch]:
        """Read a file.

        Args:
            table: The file; `open` decompresses it.
            problems: Receives what is wrong with its records.
            first: The number of its first record, from 1.
            options: Delimiter, encoding and format, as far as they are known.

        Yields:
            Record batches of text, bytes (images) and float32 lists (vectors), in order.

        Raises:
            CatalogError: The file has another format.
        """
        ...

    def estimate_rows(self, table: TableFile) -> int | None:
        """The approximate number of records, by the length of the first lines; None if compressed."""
        if table.compressed:
            return None
        with table.open() as file:
            sample = file.read(_SAMPLE_BYTES)
        lines = sample.count(b"\n")
        return lines * table.path.stat().st_size // len(sample) if lines else 1


def detect_encoding(table: TableFile, problems: Problems, options: ReadOptions, *, csv: bool) -> str:
    """The name of a text file's encoding; a guess is reported.

    Args:
        table: The file.
        problems: Receives a message if the encoding was guessed.
        options: The encoding, if the user states it, and that of an earlier catalog.
        csv: Whether JSON is refused.

    Raises:
        CatalogError: The file has another format.
    """
    with table.open() as file:
        sample = file.read(SAMPLE)
    encoding = detect(sample, options.encoding, options.like.encoding if options.like else None)
    other_format = foreign_format(sample, encoding.name)
    if other_format is None and csv:
        other_format = foreign_text(sample, encoding.name)
    if other_format is not None:
        raise CatalogError(f"{table.path}: not a table of text, but {other_format}")
    if not encoding.sure:
        problems.add(None, None, "not UTF-8; the encoding was guessed", f"{table.path.name}: {encoding.name}")
    return encoding.name
