"""Arrow IPC: files (Feather) and streams, as `datasets` saves them."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.ipc

from aisle.data.arrow_tables import plain_batch
from aisle.data.batches import column_names
from aisle.data.files import TableFile
from aisle.data.paths import is_remote
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions, TableReader
from aisle.data.readers.dataset_folders import named_labels
from aisle.data.records import BATCH
from aisle.encodings import HEAD, foreign_format
from aisle.errors import CatalogError

_FILE = b"ARROW1"
_END = b"\xff\xff\xff\xff\0\0\0\0"  # ends a stream
_STREAM = b"\xff\xff\xff\xff"


class ArrowReader(TableReader):
    """Arrow files are mapped into memory; streams are read batch by batch."""

    endings = (".arrow", ".feather", ".ipc")
    folder_endings = (".arrow", ".feather")

    def read(
        self, table: TableFile, problems: Problems, first: int, options: ReadOptions
    ) -> Iterator[pa.RecordBatch]:
        """Read a file; images may be binary columns or those of `datasets`.

        Raises:
            CatalogError: The file is not Arrow IPC.
        """
        with table.open() as opened:
            head = opened.peek(HEAD)[:HEAD]
        other_format = foreign_format(head)
        if not head.startswith((_FILE, _STREAM)):
            raise CatalogError(
                f"{table.path}: not Arrow IPC{f', but {other_format}' if other_format else ''}"
            )
        for batch in _file_batches(table) if head.startswith(_FILE) else _stream_batches(table, problems):
            for start in range(0, batch.num_rows or 1, BATCH):
                part = pa.table(batch.slice(start, BATCH))
                names = column_names(part.schema.names, problems if start == 0 and first == 1 else Problems())
                yield plain_batch(named_labels(part), names, problems, first)
                first += part.num_rows

    def estimate_rows(self, table: TableFile) -> int | None:
        """None: an Arrow file does not state how many rows it has."""
        return None


def _file_batches(table: TableFile) -> Iterator[pa.RecordBatch]:
    in_memory = table.compressed or is_remote(table.path)
    source = io.BytesIO(table.open().read()) if in_memory else pa.memory_map(str(table.path))
    with pa.ipc.open_file(source) as reader:
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)
        if not reader.num_record_batches:
            yield _empty(reader.schema)


def _stream_batches(table: TableFile, problems: Problems) -> Iterator[pa.RecordBatch]:
    with table.open() as file, pa.ipc.open_stream(file) as reader:
        empty = True
        for batch in reader:
            yield batch
            empty = False
        if empty:
            yield _empty(reader.schema)
    if not table.compressed:
        with table.path.open("rb") as file:
            file.seek(-len(_END), io.SEEK_END)
            if file.read() != _END:
                problems.add(
                    None, None, "the file ends without its end mark: rows may be missing", table.path.name
                )


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
