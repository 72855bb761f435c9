"""A catalog: a sequence of products over rows in Arrow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa

from aisle.data import column_parsers, duplicates, near_duplicates
from aisle.data.catalog_data import CatalogData
from aisle.data.catalog_format import CatalogFormat
from aisle.data.columns import Columns
from aisle.data.dialects import Dialect
from aisle.data.files import SourceFile
from aisle.data.image_scan import ImageHashes, ImageScan, hash_first_images, scan_images
from aisle.data.label_reading import Labels, labels_from_values
from aisle.data.labels import LabelStyle
from aisle.data.problems import Problems
from aisle.data.product import ImageRef, Problem, Product
from aisle.data.vectors import VectorFile
from aisle.errors import CatalogError
from aisle.progress import SILENT, Progress
from aisle.taxonomy import CategoryPath, Targets, Taxonomy


class Catalog(Sequence[Product]):
    """A sequence of n products, each made from its row on access.

    Every record of the source is a row, including those with fatal problems. `read` makes a catalog; `select`
    makes one of some of its rows, without copying.
    """

    def __init__(self, data: CatalogData, index: np.ndarray | None = None) -> None:
        self._data = data
        self._index = index  # (n,) record numbers from 0; None: all of them

    # -- products -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._data.records) if self._index is None else len(self._index)

    @overload
    def __getitem__(self, i: int) -> Product: ...
    @overload
    def __getitem__(self, i: slice) -> "Catalog": ...
    def __getitem__(self, i: "int | slice") -> "Product | Catalog":
        if isinstance(i, slice):
            return self.select(np.arange(len(self))[i])
        row = self._record(i)
        return self._data.product(row, self._data.records.row(row))

    def __iter__(self) -> Iterator[Product]:
        if self._index is None:
            for row, record in enumerate(self._data.records.rows()):
                yield self._data.product(row, record)
        else:
            for row in self._index.tolist():
                yield self._data.product(row, self._data.records.row(row))

    def __repr__(self) -> str:
        return f"Catalog({len(self):,} products, {', '.join(self.fields)}; {len(self.problems)} problems)"

    def _repr_html_(self) -> str:
        from aisle.data.catalog_html import catalog_html

        return catalog_html(self)

    def raw(self, i: int) -> dict[str, Any]:
        """The cells of row i as they are in the file."""
        return self._data.records.row(self._record(i))

    def select(self, indices: Sequence[int] | np.ndarray) -> "Catalog":
        """A catalog of the rows at these positions, in this order, or where a mask is true."""
        chosen = np.asarray(indices)
        if chosen.dtype != bool:
            chosen = chosen.astype(np.int64)
        return Catalog(self._data, self._positions[chosen])

    def whole(self) -> "Catalog":
        """A catalog of all records of the source."""
        return Catalog(self._data)

    def _record(self, i: int) -> int:
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"row {i} of a catalog of {n}")
        return int(i) % n if self._index is None else int(self._index[i])

    def _select(self, full: np.ndarray) -> np.ndarray:
        return full if self._index is None else full[self._index]

    # -- columns and labels -------------------------------------------------------------------

    @property
    def columns(self) -> Columns:
        """The role of every column."""
        return self._data.columns

    @property
    def catalog_format(self) -> CatalogFormat:
        """The format of the source: columns, separators and encoding."""
        return self._data.catalog_format(self.style if self.labelled else None)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the text fields, title and description first."""
        return tuple(self._data.columns.text)

    @property
    def names(self) -> list[str]:
        """All columns of the source, in order."""
        return self._data.records.names

    def raw_column(self, name: str) -> Iterator[pa.Array]:
        """The cells of one column as they are in the file, as several arrays."""
        if self._index is None:
            yield from self._data.records.column(name)
        elif len(self._index):
            column_values = pa.chunked_array(list(self._data.records.column(name)))
            yield from column_values.take(self._index).chunks

    def codes(self, name: str) -> np.ndarray:
        """(n,) int64 codes of the values of a text column; -1 where blank."""
        return column_parsers.codes(self.raw_column(name))

    def value_counts(self, name: str, limit: int) -> dict[str, int] | None:
        """Count the values of a text column, without blanks.

        None for images and vectors, and if there are more than `limit` values.
        """
        if not pa.types.is_string(self._data.records.types[name]):
            return None
        return column_parsers.value_counts(self.raw_column(name), limit)

    @property
    def table(self) -> pa.Table:
        """The raw rows as an Arrow table; it shares the memory, unless rows were selected."""
        table = self._data.records.table()
        return table if self._index is None else table.take(self._index)

    @property
    def taxonomy(self) -> Taxonomy:
        """The official tree, or the tree of the labels of the whole source, sorted by name.

        Raises:
            CatalogError: No tree was given and no row has a label.
        """
        taxonomy = self._data.labels.mapping.taxonomy
        if taxonomy is None:
            column = self.columns.label[0] if self.columns.label else None
            reason = f"column {column!r} is blank in every row" if column else "no column holds categories"
            raise CatalogError(
                f"the catalog has no labels: {reason}. Name the column (category=…) or give a tree"
            )
        return taxonomy

    @property
    def official(self) -> bool:
        """Whether the tree was passed explicitly, not built from the labels."""
        return self._data.labels.mapping.official

    @property
    def labelled(self) -> bool:
        """Whether any row of the source has a known category."""
        return bool((self._data.labels.mapping.node >= 0).any())

    @property
    def style(self) -> LabelStyle:
        """The style of the labels: the delimiter of levels, the separator of categories."""
        return self._data.labels.mapping.style

    @property
    def spellings(self) -> Mapping[CategoryPath, CategoryPath]:
        """Paths that differ in case or spacing from a more frequent one -> the path each is read as."""
        return self._data.labels.mapping.variants

    def category_counts(self) -> np.ndarray:
        """(n,) int64 number of acceptable categories of each row."""
        counts = [len(paths) for paths in self._data.labels.mapping.categories]
        return np.array([*counts, 0], np.int64)[self._select(self._data.labels.codes)]

    def has_image(self) -> np.ndarray:
        """(n,) bool: rows that name an image, which may be missing or broken."""
        images, n = self._data.images, len(self._data.records)
        if not images.source_columns:
            return np.zeros(len(self), bool)
        refs = (bool(images.refs(record)) for record in self._data.records.rows(images.source_columns))
        return self._select(np.fromiter(refs, bool, n))

    def position_of(self, row: int) -> int | None:
        """The position of the record with number `row`; None if it is not in this catalog."""
        record = int(self._data.source_rows.positions(np.array([row]))[0])
        if self._index is None:
            return record if 0 <= record < len(self) else None
        positions = np.flatnonzero(self._index == record)
        return int(positions[0]) if len(positions) else None

    def targets(self) -> Targets:
        """The training targets.

        Returns:
            `node` (n,) of the first category, -1 where unlabelled, unknown or fatal, and `exact` (n,), False
            where products cannot be assigned to the label's node itself.
        """
        codes = self._select(self._data.labels.codes)
        mapping = self._data.labels.mapping
        node, exact = np.append(mapping.node, -1)[codes], np.append(mapping.exact, True)[codes]
        return Targets(np.where(self.fatal, -1, node), exact)

    @property
    def split(self) -> np.ndarray | None:
        """(n,) split of each row: train, validation, calibration, test, or blank; None without the column.

        Raises:
            CatalogError: The column has unknown values.
        """
        coded = self._data.split
        return None if coded is None else self._select(np.array(coded.values, dtype=object)[coded.codes])

    def check_split(self) -> None:
        """Check the split column, if there is one.

        Raises:
            CatalogError: The column has unknown values.
        """
        _ = self._data.split

    @property
    def split_codes(self) -> np.ndarray:
        """(n,) int64 codes of the splits; -1 where blank."""
        coded = self._data.split
        if coded is None:
            return np.full(len(self), -1)
        return self._select(coded.codes).astype(np.int64) - 1

    @property
    def weights(self) -> np.ndarray | None:
        """(n,) float64 sample weights, 1 where blank; None without a weight column."""
        return None if self._data.weights is None else self._select(self._data.weights)

    @property
    def dates(self) -> np.ndarray | None:
        """(n,) datetime64[s], NaT where blank; None without a date column."""
        return None if self._data.dates is None else self._select(self._data.dates.values)

    @property
    def date_ambiguity(self) -> str:
        """Why the order of day and month in the date column is unclear; empty if it is clear."""
        return "" if self._data.dates is None else self._data.dates.ambiguity

    @property
    def rows(self) -> np.ndarray:
        """(n,) number of the first row of each product in the source, from 1, over all files."""
        return self._data.source_rows.numbers(self._positions)

    @property
    def main_rows(self) -> np.ndarray:
        """(n,) number of the row that describes each product: its parent's row, else its first."""
        return self._data.source_rows.main_numbers(self._positions)

    @property
    def _positions(self) -> np.ndarray:
        return np.arange(len(self)) if self._index is None else self._index

    @property
    def dialect(self) -> Dialect | None:
        """The dialect of the source, such as Shopify's; None if it is of no known platform."""
        return self._data.dialect

    @property
    def source_rows(self) -> np.ndarray:
        """(m,) int64 position of the product of each source row; -1: it is not in this catalog."""
        return self._data.source_rows.product_of_rows(len(self._data.records), self._index)

    @property
    def source_table(self) -> pa.Table:
        """All rows of the source as an Arrow table: of a shop export, those of variants too."""
        return (self._data.source_records or self._data.records).table()

    @property
    def first_source_row(self) -> int:
        """The number of the first row of the source, from 1; greater in a chunk of a longer source."""
        return self._data.source_rows.first

    @property
    def vector_files(self) -> Mapping[str, VectorFile]:
        """Files of vectors by name, matched by product id."""
        return self._data.vector_files

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """The files the records come from."""
        return self._data.files

    # -- problems -----------------------------------------------------------------------------

    @cached_property
    def problems(self) -> Problems:
        """The problems of these rows and of the whole file, in row order."""
        return self._data.problems if self._index is None else self._data.problems.select(self.rows)

    @property
    def fatal(self) -> np.ndarray:
        """(n,) bool: rows that are not trained on and not scored."""
        return self._select(self._data.fatal)

    def problems_of(self, i: int) -> tuple[Problem, ...]:
        """The problems of row i."""
        return self._data.problems.of(self._data.source_rows.number(self._record(i)))

    # -- duplicates ---------------------------------------------------------------------------

    def keys(self) -> np.ndarray:
        """(n,) 16-byte hashes of the content of each row, without id, label and split."""
        return self._select(self._cached("keys", lambda: duplicates.keys(self._data)))

    def groups(self, near: bool = True, images: bool = True, progress: Progress = SILENT) -> np.ndarray:
        """(n,) int64 group numbers from 0; rows of the same product have the same number.

        Args:
            near: Whether near-duplicates count: similar titles, and similar first images, which are decoded.
                Otherwise equal title and description (but for case, spacing and signs), byte-identical first
                images, and equal values in the group column.
            images: Whether similar images count.
            progress: Reports progress over the images.
        """
        images = near and images and bool(self._data.images.source_columns)

        def find() -> np.ndarray:
            if not near:
                return duplicates.groups(self._data)
            seen = self._first_images(progress) if images else None
            return near_duplicates.groups(self._data, seen)

        full = self._cached(f"groups {near} {images}", find)
        if self._index is None:
            return full.astype(np.int64)
        return np.unique(full[self._index], return_inverse=True)[1].astype(np.int64)

    def _first_images(self, progress: Progress) -> ImageHashes:
        scan: ImageScan | None = self._data.cache.get("image scan")
        if scan is not None:
            return ImageHashes(scan.rows, scan.hashes)
        return self._cached("first images", lambda: hash_first_images(self._data, progress))

    def scan_images(self, progress: Progress = SILENT) -> ImageScan:
        """Decode every image of the whole source; the result is cached."""
        scan = self._cached("image scan", lambda: scan_images(self._data, progress))
        if not scan.complete:
            self._data.cache.pop("image scan", None)
        return scan

    def _cached(self, name: str, make: Any) -> Any:
        if name not in self._data.cache:
            self._data.cache[name] = make()
        return self._data.cache[name]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all rows and column roles."""
        return self._data.fingerprint(self._index)

    # -- other labels -------------------------------------------------------------------------

    def with_labels(
        self, labels: Sequence[CategoryPath | str | None], taxonomy: Taxonomy | None = None
    ) -> "Catalog":
        """A catalog of the same rows with other labels.

        Args:
            labels: A path or an id for each row; None for no label.
            taxonomy: The tree. Default: the official tree, or that of the new labels.

        Raises:
            CatalogError: There are not as many labels as rows.
        """
        if len(labels) != len(self):
            raise CatalogError(f"{len(labels)} labels were given for {len(self)} rows")
        if taxonomy is None and self.official:
            taxonomy = self.taxonomy
        codes, texts, mapping = labels_from_values(labels, taxonomy)
        full = np.full(len(self._data.records), -1, np.int32)
        full[self._positions] = codes
        return Catalog(replace(self._data, labels=Labels(full, texts, mapping)), self._index)

    @property
    def image_root(self) -> Path | None:
        """The folder that image paths are relative to; None if no column has image paths."""
        types, images = self._data.records.types, self._data.images
        paths = [name for name in images.source_columns if "binary" not in str(types[name])]
        return images.root if paths else None

    def image_names(self, i: int) -> list[str | bytes]:
        """The images of row i as the file names them: paths, URLs, or bytes."""
        return self._data.images.names(self.raw(i))

    def images(self, i: int) -> tuple[ImageRef, ...]:
        """The images of row i, without making the product."""
        return self._data.images.refs(self.raw(i))
