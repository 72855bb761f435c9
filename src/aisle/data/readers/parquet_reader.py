"""Parquet files."""

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from aisle.data.arrow_tables import plain_batch
from aisle.data.batches import CHUNK, column_names
from aisle.data.files import TableFile
from aisle.data.paths import is_remote
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions, TableReader
from aisle.data.readers.dataset_folders import named_labels
from aisle.data.records import BATCH
from aisle.encodings import HEAD, foreign_format
from aisle.errors import CatalogError


class ParquetReader(TableReader):
    """Parquet, read one batch at a time; a compressed file is unpacked into memory."""

    endings = folder_endings = (".parquet", ".pq")

    def read(
        self, table: TableFile, problems: Problems, first: int, options: ReadOptions
    ) -> Iterator[pa.RecordBatch]:
        """Read a file; images may be binary columns or those of `datasets`."""
        with table.open() as opened:
            other_format = foreign_format(opened.peek(HEAD)[:HEAD])
        if other_format is not None and not other_format.startswith("Parquet"):
            raise CatalogError(f"{table.path}: not Parquet, but {other_format}")
        source: Any = str(table.path)
        if table.compressed or is_remote(table.path):
            source = io.BytesIO(table.open().read()) if table.compressed else table.path.open("rb")
        with ParquetFile(source) as file:
            names = column_names(file.schema_arrow.names, problems)
            if not file.metadata.num_rows:
                yield plain_batch(file.schema_arrow.empty_table(), names, problems, first)
            for batch in file.iter_batches(_batch_rows(file.metadata)):
                labelled = named_labels(pa.table(batch).replace_schema_metadata(file.schema_arrow.metadata))
                yield plain_batch(labelled, names, problems, first)
                first += batch.num_rows

    def estimate_rows(self, table: TableFile) -> int | None:
        """The number of records; None if the file is compressed or cannot be read, which `read` reports."""
        if not table.compressed:
            with table.path.open("rb") as file, suppress(pa.ArrowException):
                return int(ParquetFile(file).metadata.num_rows)
        return None


def _batch_rows(metadata: Any) -> int:
    """Rows of a batch: fewer where they hold images."""
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return max(1, min(BATCH, CHUNK * metadata.num_rows // (size + 1)))
