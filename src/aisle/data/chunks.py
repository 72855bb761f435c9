"""A source of any length as a sequence of small catalogues, none held longer than it is looked at.

What `read` finds by looking at all rows at once (ids given twice, duplicates, the labels' tree) is not looked
for: memory and disk do not grow with the source.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from aisle.data import column_parsers, variant_rows
from aisle.data.catalog import Catalog, CatalogData
from aisle.data.columns import Columns, parse_columns
from aisle.data.files import TableFile, estimate_rows
from aisle.data.paths import wrap_store_errors
from aisle.data.pipes import Spooled
from aisle.data.problems import Problems
from aisle.data.reading import batches_of, blaming, feedback_join, home_of, understood
from aisle.data.records import Records
from aisle.data.tables import ReadOptions
from aisle.data.vectors import open_vectors
from aisle.errors import CatalogError

ROWS = 50_000
BYTES = 64 * 2**20  # of raw records in a piece: fewer rows where they hold pictures
_LOOKED_AT = 1000  # records of a file by which its columns are understood
_FILES = 32  # files whose first records are looked at


class Chunk(NamedTuple):
    """Records in a row: `number` counts pieces from 0; `first` is the number of its first record, from 1.

    catalog: its rows, which know their numbers in the whole source; made when asked for. batches, told: what
    it is made of, where it comes from files: raw records, and what reading them found.
    """

    number: int
    first: int
    rows: int
    catalog: Callable[[], Catalog]
    batches: Sequence[pa.RecordBatch] = ()
    problems: Problems | None = None


class Chunks(Protocol):
    """What bulk work goes through: pieces that are the same each time they are asked for."""

    @property
    def columns(self) -> Columns:
        """Which column holds what."""
        ...

    @property
    def total(self) -> int | None:
        """About how many records there are, if that is known before."""
        ...

    @property
    def files(self) -> list[Path]:
        """What the records come from, in order."""
        ...

    def __iter__(self) -> Iterator[Chunk]:
        """One after the other, read as they are asked for."""
        ...


class ChunkReader:
    """Files as pieces of `rows` records, or of `BYTES` where that is less.

    Raises:
        CatalogError: as `aisle.data.read`.
    """

    def __init__(
        self,
        source: Sequence[Path],
        rows: int = ROWS,
        columns: Mapping[str, Any] | None = None,
        image_root: str | Path | None = None,
        hints: ReadOptions = ReadOptions(),  # noqa: B008 - frozen
        vectors: Mapping[str, str | Path] | None = None,
    ) -> None:
        self._pipes, self.rows, self.hints = Spooled(), rows, hints
        self.source = list(self._pipes.plain(list(source), hints.max_expanded))
        home = home_of(source)
        self.attached = open_vectors(vectors)
        self.first_told = Problems()
        with wrap_store_errors(self.source[0]):
            sample, self.total = self._looked()
            root = column_parsers.resolve_root(image_root, home)
        given = parse_columns(columns)
        self.join = feedback_join(sample, given, root, hints.like)
        if self.join is not None:
            sample, given = sample.mapped(self.join.batch), self.join.given
        self.types = sample.types
        self.pictures = understood(sample, given, root, self.first_told, hints.like)
        for name, file in self.attached.items():
            if name in sample.types or self.columns.id is None:
                why = "is a column already" if name in sample.types else "needs a column of ids"
                raise CatalogError(f"vectors {name!r} ({file.path}): {name!r} {why}")

    @property
    def columns(self) -> Columns:
        """Which column holds what."""
        return self.pictures.columns

    @property
    def files(self) -> list[Path]:
        """The tables, or the folder of pictures, in order."""
        parts = (part for part, _ in batches_of(self.source, Problems(), self.hints))
        return [part.path if isinstance(part, TableFile) else part for part in parts if part is not None]

    def _looked(self) -> tuple[Records, int | None]:
        """The first records of the first files, and about how many there are in all."""
        seen: list[pa.RecordBatch] = []
        total: int | None = 0
        for number, (part, batches) in enumerate(batches_of(self.source, Problems(), self.hints)):
            path = part.path if isinstance(part, TableFile) else part
            with blaming(path):
                estimate = estimate_rows(part) if isinstance(part, TableFile) else None
                total = None if total is None or estimate is None else total + estimate
                count = 0
                for batch in batches(1) if number < _FILES else ():
                    seen.append(batch)
                    count += batch.num_rows
                    if count >= _LOOKED_AT:
                        break
        return Records(seen), total

    def __iter__(self) -> Iterator[Chunk]:
        problems = self.first_told.copy()
        first = 1
        records = self._batches(problems)
        if variant_rows.are_expected(self.columns):
            records = variant_rows.completed(records, self.columns)
        for number, batches in enumerate(_cut(records, self.rows)):
            rows = sum(batch.num_rows for batch in batches)
            noted = problems.drain(first + rows - 1)
            yield Chunk(number, first, rows, partial(self.catalog, batches, first, noted), batches, noted)
            first += rows

    def _batches(self, problems: Problems) -> Iterator[pa.RecordBatch]:
        """Every batch of every file; columns that nobody knew of are told once."""
        first, known = 1, set(self.types)
        for part, batches in batches_of(self.source, problems, self.hints):
            with blaming(part.path if isinstance(part, TableFile) else part):
                for raw in batches(first):
                    batch = raw if self.join is None else self.join.batch(raw)
                    for name in [name for name in batch.schema.names if name not in known]:
                        problems.add(None, name, "not read: the first records have no such column")
                        known.add(name)
                    first += batch.num_rows
                    yield batch

    def catalog(self, batches: Sequence[pa.RecordBatch], first: int, noted: Problems) -> Catalog:
        """The rows of one piece; noted: what reading them found, by their numbers in the whole source."""
        records, problems = Records(batches), noted.copy()
        records.types = {**self.types, **records.types}
        problems.shift(1 - first)
        broken, since = problems.fatal_rows(), len(problems)
        column_parsers.check_ids(records, self.columns.id, problems, twice=False)
        has_vector = column_parsers.with_vector(records, self.columns.id, self.attached)
        column_parsers.check_empty(records, self.columns, problems, has_vector)
        self.pictures.check(records, problems)
        problems.forget(broken, since)
        problems.sort()
        problems.shift(first - 1)
        labels = column_parsers.no_labels(records, self.columns, None, problems)
        return Catalog(
            CatalogData(
                records, self.columns, labels, problems, self.pictures, (), self.attached, first_row=first
            )
        )


class CatalogChunks:
    """A catalogue that is read already, such as a contest's, as pieces of `rows` records."""

    def __init__(self, catalog: Catalog, files: Sequence[Path], rows: int = ROWS) -> None:
        self.whole, self.files, self.rows = catalog, list(files), rows

    @property
    def columns(self) -> Columns:
        """Which column holds what."""
        return self.whole.columns

    @property
    def total(self) -> int:
        """How many records there are."""
        return len(self.whole)

    def __iter__(self) -> Iterator[Chunk]:
        for number, start in enumerate(range(0, len(self.whole), self.rows)):
            stop = min(start + self.rows, len(self.whole))
            take = partial(self.whole.__getitem__, slice(start, stop))
            yield Chunk(number, start + 1, stop - start, take)


def _cut(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[list[pa.RecordBatch]]:
    """The same records in lists of at most so many rows and about `BYTES`."""
    held: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            mean = batch.nbytes / batch.num_rows + 1
            fits = max(int((BYTES - size) / mean), 0 if held else 1)
            take = min(batch.num_rows - start, rows - count, fits)
            if take:
                held.append(batch.slice(start, take))
                count, size, start = count + take, size + int(take * mean), start + take
            if count >= rows or start < batch.num_rows:
                yield held
                held, count, size = [], 0, 0
    if held:
        yield held
