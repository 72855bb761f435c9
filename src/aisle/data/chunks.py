"""Reads a source of any length as a sequence of small catalogs.

Memory does not grow with the source, but for 24 bytes a row of a shop export whose rows are grouped; such an
export is copied to disk, for rows of one product may lie anywhere. Properties of all rows together (repeated
ids, duplicates, the category tree of the labels) are not computed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from aisle.data.catalog import Catalog
from aisle.data.catalog_data import CatalogData
from aisle.data.column_resolution import resolve_columns
from aisle.data.columns import Columns, parse_columns
from aisle.data.dialects import Dialect
from aisle.data.dialects.products import ExportProducts, rows_are_products
from aisle.data.files import SourceFile
from aisle.data.label_reading import no_labels
from aisle.data.paths import is_remote, wrap_store_errors
from aisle.data.pipes import PipeCopies
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions
from aisle.data.records import Records, spill
from aisle.data.row_checks import check_rows
from aisle.data.shop_exports import choose_dialect, export_roles, open_export
from aisle.data.source_rows import SourceRows
from aisle.data.sources import name_file_in_errors, open_parts, resolve_root, source_folder
from aisle.data.vectors import check_vector_files, open_vectors

ROWS = 50_000
BYTES = 64 * 2**20  # of raw records in a chunk: fewer rows where they hold images
_SAMPLE_ROWS = 1000  # records of a file by which its columns are resolved
_SAMPLE_FILES = 32  # files of which records are sampled


class Chunk(NamedTuple):
    """Consecutive records.

    Attributes:
        number: The position of the chunk, from 0.
        first: The number of its first record in the source, from 1.
        rows: The number of records; in a shop export, of products.
        catalog: Makes the catalog of its rows, which know their numbers in the source.
        batches: The raw records, where they come from files.
        problems: What reading them found.
        source_rows: The rows of the source that its records come from.
        files: The files read so far, with the numbers of their records.
    """

    number: int
    first: int
    rows: int
    catalog: Callable[[], Catalog]
    batches: Sequence[pa.RecordBatch] = ()
    problems: Problems | None = None
    source_rows: SourceRows = SourceRows()
    files: tuple[SourceFile, ...] = ()


class Chunks(Protocol):
    """Chunks that are the same each time they are iterated."""

    @property
    def columns(self) -> Columns:
        """The role of every column."""
        ...

    @property
    def total(self) -> int | None:
        """The approximate number of records, if it is known."""
        ...

    @property
    def files(self) -> list[Path]:
        """The files of the records, in order."""
        ...

    @property
    def dialect(self) -> Dialect | None:
        """The dialect of a shop export; None for other sources."""
        ...

    def __iter__(self) -> Iterator[Chunk]:
        """The chunks, read one by one."""
        ...


class ChunkReader:
    """Files as chunks of `rows` records, or of `BYTES` where that is less.

    Args:
        source: Files or folders.
        rows: Records of a chunk.
        columns: Column roles that names do not tell.
        image_root: The folder that image paths are relative to. Default: the folder of the first file.
        options: Delimiter, encoding and format.
        vectors: Files of vectors by name.
        format: The dialect of a shop export, as in `aisle.data.read`.
        category_file: The file of category names, likewise.

    Raises:
        CatalogError: As `aisle.data.read`.
    """

    def __init__(
        self,
        source: Sequence[Path],
        rows: int = ROWS,
        columns: Mapping[str, Any] | None = None,
        image_root: str | Path | None = None,
        options: ReadOptions = ReadOptions(),  # noqa: B008 - frozen
        vectors: Mapping[str, str | Path] | None = None,
        format: str | Path | Dialect | None = None,
        category_file: str | Path | None = None,
    ) -> None:
        self._pipes, self.rows, self.options = PipeCopies(), rows, options
        self.source = list(self._pipes.replace_pipes(list(source), options.max_expanded))
        folder = source_folder(source)
        self.vector_files = open_vectors(vectors)
        self._header_problems = Problems()
        self._folder = None if folder is None or is_remote(folder) else resolve_root(None, folder)
        self._category_file = category_file
        self._read: tuple[ExportProducts, Problems] | None = None
        self._files: list[SourceFile] = []  # read so far
        known = parse_columns(columns)
        with wrap_store_errors(self.source[0]):
            sample, self.total = self._sample()
            root = resolve_root(image_root, folder)
            self._dialect = choose_dialect(format, options.like, sample.names)
            self._first = sample
            export, _ = self._open_export()
            if export is not None:
                sample = Records(list(_first_batches(export.batches(), _SAMPLE_ROWS)))
                known = export_roles(export, sample, known, options.like)
        resolved = resolve_columns(sample, known, root, self._header_problems, options.like)
        self.merge, self.images, self.types = resolved.merge, resolved.images, resolved.records.types
        self.images.note_urls(resolved.records, self._header_problems)
        check_vector_files(self.vector_files, self.types, self.columns.id)

    @property
    def columns(self) -> Columns:
        """The role of every column."""
        return self.images.columns

    @property
    def dialect(self) -> Dialect | None:
        """The dialect of a shop export; None for other sources."""
        return self._dialect

    @property
    def files(self) -> list[Path]:
        """The tables, or the folder of images, in order."""
        parts = open_parts(self.source, Problems(), self.options)
        return [part.path for part in parts if part.path is not None]

    def _sample(self) -> tuple[Records, int | None]:
        """The first records of the first files, and the approximate number of all."""
        sample: list[pa.RecordBatch] = []
        total: int | None = 0
        for number, part in enumerate(open_parts(self.source, Problems(), self.options)):
            with name_file_in_errors(part.path):
                estimate, count = part.estimate_rows(), 0
                total = None if total is None or estimate is None else total + estimate
                for batch in part.batches(1) if number < _SAMPLE_FILES else ():
                    sample.append(batch)
                    count += batch.num_rows
                    if count >= _SAMPLE_ROWS:
                        break
        return Records(sample), total

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_read": None}  # other processes read the export themselves

    def _open_export(self) -> tuple[ExportProducts | None, Problems]:
        """The products of a shop export, and the problems of reading its rows, if rows are read here."""
        if self.dialect is None:
            return None, Problems()
        if self._read is None:
            problems, records = Problems(), self._first
            if not rows_are_products(self.dialect, records.names):
                records = spill(self._rows(problems))
            file = self.source[0] if len(self.source) == 1 and self._folder is not None else None
            export = open_export(self.dialect, records, self._folder, self._category_file, file)
            self._read = export, problems
        return self._read

    def __iter__(self) -> Iterator[Chunk]:
        export, read = self._open_export()
        problems, start = self._header_problems.copy(), 0
        if export is None:
            records = self._rows(problems)
        elif rows_are_products(export.dialect, export.records.names):
            records = map(export.batch, self._rows(problems))
        else:
            records, problems = export.batches(), read.copy()
        source_rows = SourceRows() if export is None else export.rows
        for number, batches in enumerate(_regroup(self._known(records, problems), self.rows)):
            stop = start + sum(batch.num_rows for batch in batches)
            rows = source_rows.part(start, stop)
            problems_ = problems.drain(rows.last(stop - start))
            files = tuple(self._files)
            make = partial(self.catalog, batches, rows, problems_, files)
            yield Chunk(number, rows.number(0), stop - start, make, batches, problems_, rows, files)
            start = stop

    def _rows(self, problems: Problems) -> Iterator[pa.RecordBatch]:
        """Every batch of every file."""
        first, files = 1, list[SourceFile]()
        self._files = files
        for part in open_parts(self.source, problems, self.options):
            if part.path is not None:
                files.append(SourceFile(part.path, first, first))
            with name_file_in_errors(part.path):
                for batch in part.batches(first):
                    first += batch.num_rows
                    if part.path is not None:
                        files[-1] = files[-1]._replace(last=first - 1)
                    yield batch

    def _known(self, batches: Iterable[pa.RecordBatch], problems: Problems) -> Iterator[pa.RecordBatch]:
        """Batches with feedback merged; a column that the sample lacks is reported once."""
        known = set(self.types)
        for raw in batches:
            batch = raw if self.merge is None else self.merge.batch(raw)
            for name in [name for name in batch.schema.names if name not in known]:
                problems.add(None, name, "not read: the first records have no such column")
                known.add(name)
            yield batch

    def catalog(
        self,
        batches: Sequence[pa.RecordBatch],
        rows: SourceRows,
        problems: Problems,
        files: tuple[SourceFile, ...] = (),
    ) -> Catalog:
        """The rows of one chunk.

        Args:
            batches: The records.
            rows: Their row numbers.
            problems: Problems of reading, by row number in the source.
            files: The files that the rows come from.
        """
        records, problems = Records(batches), problems.copy()
        records.types = {**self.types, **records.types}
        problems.number_by(rows)
        check_rows(records, self.images, problems, self.vector_files, len(problems), whole=False)
        labels = no_labels(records, self.columns, None, problems)
        data = CatalogData(
            records,
            self.columns,
            labels,
            problems,
            self.images,
            files,
            self.vector_files,
            source_rows=rows,
            dialect=self.dialect,
        )
        return Catalog(data)


class CatalogChunks:
    """A catalog in memory, such as a benchmark data set, as chunks of `rows` records."""

    def __init__(self, catalog: Catalog, files: Sequence[Path], rows: int = ROWS) -> None:
        self.whole, self.files, self.rows = catalog, list(files), rows

    @property
    def columns(self) -> Columns:
        """The role of every column."""
        return self.whole.columns

    @property
    def total(self) -> int:
        """The number of records."""
        return len(self.whole)

    @property
    def dialect(self) -> Dialect | None:
        """The dialect of the catalog."""
        return self.whole.dialect

    def __iter__(self) -> Iterator[Chunk]:
        for number, start in enumerate(range(0, len(self.whole), self.rows)):
            stop = min(start + self.rows, len(self.whole))
            take = partial(self.whole.__getitem__, slice(start, stop))
            yield Chunk(number, start + 1, stop - start, take)


def _first_batches(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The batches that hold the first `rows` records."""
    for batch in batches:
        yield batch
        rows -= batch.num_rows
        if rows <= 0:
            return


def _regroup(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[list[pa.RecordBatch]]:
    """Regroup records into lists of at most `rows` rows and about `BYTES`."""
    chunk: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            mean = batch.nbytes / batch.num_rows + 1
            fits = max(int((BYTES - size) / mean), 0 if chunk else 1)
            take = min(batch.num_rows - start, rows - count, fits)
            if take:
                chunk.append(batch.slice(start, take))
                count, size, start = count + take, size + int(take * mean), start + take
            if count >= rows or start < batch.num_rows:
                yield chunk
                chunk, count, size = [], 0, 0
    if chunk:
        yield chunk
