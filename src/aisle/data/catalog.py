"""A catalog: a sequence of products over rows in Arrow. A product is made when it is accessed."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from aisle.data import column_parsers, duplicates, near_duplicates
from aisle.data.catalog_data import CatalogData
from aisle.data.catalog_format import CatalogFormat, resolved
from aisle.data.columns import Columns
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
    """n products, each made from its row when asked for; iterating streams them in order.

    Every record of the source is a row, including those with fatal problems. `read` makes a catalog;
    `select` makes another one of some rows without copying.
    """

    def __init__(self, base: CatalogData, index: np.ndarray | None = None) -> None:
        self._base = base
        self._index = index  # (n,) record numbers from 0; None: all of them

    # -- products -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._base.records) if self._index is None else len(self._index)

    @overload
    def __getitem__(self, i: int) -> Product: ...
    @overload
    def __getitem__(self, i: slice) -> "Catalog": ...
    def __getitem__(self, i: "int | slice") -> "Product | Catalog":
        if isinstance(i, slice):
            return self.select(np.arange(len(self))[i])
        row = self._record(i)
        return self._base.product(row, self._base.records.row(row))

    def __iter__(self) -> Iterator[Product]:
        if self._index is None:
            for row, record in enumerate(self._base.records.rows()):
                yield self._base.product(row, record)
        else:
            for row in self._index.tolist():
                yield self._base.product(row, self._base.records.row(row))

    def __repr__(self) -> str:
        return f"Catalog({len(self):,} products, {', '.join(self.fields)}; {len(self.problems)} problems)"

    def raw(self, i: int) -> dict[str, Any]:
        """Row i as it is in the file."""
        return self._base.records.row(self._record(i))

    def select(self, indices: Sequence[int] | np.ndarray) -> "Catalog":
        """The rows at these positions (or where a mask is true), in this order; a row may recur."""
        chosen = np.asarray(indices)
        if chosen.dtype != bool:
            chosen = chosen.astype(np.int64)
        return Catalog(self._base, (self.rows - self._base.first_row)[chosen])

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
        return self._base.columns

    @property
    def catalog_format(self) -> CatalogFormat:
        """The format of the source: columns, separators and encoding."""
        base = self._base
        columns = resolved(
            base.columns, self.style if self.labelled else None, self.official, base.images.separator
        )
        return replace(base.user_format, columns=columns)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the text fields a product may have: title and description first."""
        return tuple(self._base.columns.text)

    @property
    def names(self) -> list[str]:
        """All columns of the source, in order."""
        return self._base.records.names

    def raw_column(self, name: str) -> Iterator[pa.Array]:
        """The cells of one column of these rows as they are in the file, as several arrays."""
        if self._index is None:
            yield from self._base.records.column(name)
        elif len(self._index):
            whole = pa.chunked_array(list(self._base.records.column(name)))
            yield from whole.take(self._index).chunks

    def codes(self, name: str) -> np.ndarray:
        """(n,) int64 numbers of a text column's values, equal for equal ones; -1 where blank."""
        coded = column_parsers.encode(self.raw_column(name))
        blank = np.array([not value.strip() for value in coded.values], dtype=bool)
        return np.where(blank[coded.codes], -1, coded.codes).astype(np.int64)

    def value_counts(self, name: str, most: int) -> dict[str, int] | None:
        """How often each value of a text column occurs, blanks aside; None for images and vectors, and
        where there are more than `most` values."""
        if not pa.types.is_string(self._base.records.types[name]):
            return None
        counts: Counter[str] = Counter()
        for array in self.raw_column(name):
            for item in array.value_counts().to_pylist():
                if item["values"] and item["values"].strip():
                    counts[item["values"]] += item["counts"]
            if len(counts) > most:
                return None
        return dict(counts)

    @property
    def table(self) -> pa.Table:
        """The raw rows as an Arrow table (of the same memory, unless rows were taken)."""
        table = self._base.records.table()
        return table if self._index is None else table.take(self._index)

    @property
    def taxonomy(self) -> Taxonomy:
        """The official tree, or the one that the whole source's labels span, sorted by name.

        Raises:
            CatalogError: no tree was given and no row has a label.
        """
        taxonomy = self._base.labels.mapping.taxonomy
        if taxonomy is None:
            column = self.columns.label[0] if self.columns.label else None
            why = f"column {column!r} is blank in every row" if column else "no column holds categories"
            raise CatalogError(
                f"the catalog has no labels: {why}. Name the column (category=…) or give a tree"
            )
        return taxonomy

    @property
    def official(self) -> bool:
        """Whether the tree was given; else the labels span it."""
        return self._base.labels.mapping.official

    @property
    def labelled(self) -> bool:
        """Whether any row of the source has a known category."""
        return bool((self._base.labels.mapping.node >= 0).any())

    @property
    def style(self) -> LabelStyle:
        """How the labels are written: the delimiter of levels, the separator of categories."""
        return self._base.labels.mapping.style

    @property
    def spellings(self) -> Mapping[CategoryPath, CategoryPath]:
        """Paths that differ from a commoner one in case or spacing only -> the one each is read as."""
        return self._base.labels.mapping.variants

    def category_counts(self) -> np.ndarray:
        """(n,) int64: how many acceptable categories each row has."""
        counts = [len(paths) for paths in self._base.labels.mapping.categories]
        return np.array([*counts, 0], np.int64)[self._select(self._base.labels.codes)]

    def has_image(self) -> np.ndarray:
        """(n,) bool: which rows name an image. It may be missing or broken."""
        images, n = self._base.images, len(self._base.records)
        if not images.named:
            return np.zeros(len(self), bool)
        refs = (bool(images.refs(record)) for record in self._base.records.rows(images.named))
        return self._select(np.fromiter(refs, bool, n))

    def position_of(self, row: int) -> int | None:
        """The position of the record with this number, if it is here."""
        record = row - self._base.first_row
        if self._index is None:
            return record if 0 <= record < len(self) else None
        found = np.flatnonzero(self._index == record)
        return int(found[0]) if len(found) else None

    def targets(self) -> Targets:
        """The training targets: `node` (n,) of the first category, -1 where unlabelled, unknown or fatal;
        `exact` (n,), False where the label is a branch in which products cannot end."""
        codes = self._select(self._base.labels.codes)
        places = self._base.labels.mapping
        node, exact = np.append(places.node, -1)[codes], np.append(places.exact, True)[codes]
        return Targets(np.where(self.fatal, -1, node), exact)

    @property
    def split(self) -> np.ndarray | None:
        """(n,) the split given for each row (train, validation, calibration or test), '' where blank; None
        without such a column.

        Raises:
            CatalogError: a value names no split that is known.
        """
        coded = self._base.split
        return None if coded is None else self._select(np.array(coded.values, dtype=object)[coded.codes])

    def check_split(self) -> None:
        """Check the split column, if there is one.

        Raises:
            CatalogError: a value of it names no split that is known.
        """
        _ = self._base.split

    @property
    def split_codes(self) -> np.ndarray:
        """(n,) int64 numbers of the splits, equal for equal ones; -1 where blank."""
        coded = self._base.split
        if coded is None:
            return np.full(len(self), -1)
        return self._select(coded.codes).astype(np.int64) - 1

    @property
    def weights(self) -> np.ndarray | None:
        """(n,) float64, 1 where blank; None without a weight column."""
        return None if self._base.weights is None else self._select(self._base.weights)

    @property
    def dates(self) -> np.ndarray | None:
        """(n,) datetime64[s], NaT where blank; None without a date column."""
        return None if self._base.dates is None else self._select(self._base.dates.values)

    @property
    def date_ambiguity(self) -> str:
        """Why the order of day and month in the date column cannot be told; empty where it can."""
        return "" if self._base.dates is None else self._base.dates.ambiguity

    @property
    def rows(self) -> np.ndarray:
        """(n,) the number of each row's record in the source, from 1, all files counted through."""
        return (np.arange(len(self)) if self._index is None else self._index) + self._base.first_row

    @property
    def vector_files(self) -> Mapping[str, VectorFile]:
        """Files of vectors by name, matched by product id."""
        return self._base.vector_files

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """The files the records come from."""
        return self._base.files

    # -- problems -----------------------------------------------------------------------------

    @cached_property
    def problems(self) -> Problems:
        """The problems of these rows and of the whole file, in row order."""
        return self._base.problems if self._index is None else self._base.problems.among(self.rows)

    @property
    def fatal(self) -> np.ndarray:
        """(n,) bool: rows that are not trained on and not scored."""
        return self._select(self._base.fatal)

    def problems_of(self, i: int) -> tuple[Problem, ...]:
        """The problems of row i."""
        return self._base.problems.of(self._record(i) + self._base.first_row)

    # -- duplicates ---------------------------------------------------------------------------

    def keys(self) -> np.ndarray:
        """(n,) bytes: a hash of each row's content, without id, label and split."""
        return self._select(self._cached("keys", lambda: duplicates.keys(self._base)))

    def groups(self, near: bool = True, images: bool = True, progress: Progress = SILENT) -> np.ndarray:
        """(n,) int64 numbers from 0; rows that show the same product have the same.

        Args:
            near: Whether near-duplicates count: similar titles, and similar first images, which are decoded.
                Otherwise equal title and description (but for case, spacing and signs), byte-identical first
                images, and equal values in the group column.
            images: Whether similar images count.
            progress: Reports progress over the images.
        """
        images = near and images and bool(self._base.images.named)

        def find() -> np.ndarray:
            if not near:
                return duplicates.groups(self._base)
            seen = self._first_images(progress) if images else None
            return near_duplicates.groups(self._base, seen)

        full = self._cached(f"groups {near} {images}", find)
        if self._index is None:
            return full.astype(np.int64)
        return np.unique(full[self._index], return_inverse=True)[1].astype(np.int64)

    def _first_images(self, progress: Progress) -> ImageHashes:
        looked: ImageScan | None = self._base.cache.get("survey")
        if looked is not None:
            return ImageHashes(looked.rows, looked.hashes)
        return self._cached("first images", lambda: hash_first_images(self._base, progress))

    def scan_images(self, progress: Progress = SILENT) -> ImageScan:
        """Decode every image of the whole source once; returns what cannot be read, and hashes."""
        found = self._cached("survey", lambda: scan_images(self._base, progress))
        if not found.complete:
            self._base.cache.pop("survey", None)
        return found

    def _cached(self, name: str, make: Any) -> Any:
        if name not in self._base.cache:
            self._base.cache[name] = make()
        return self._base.cache[name]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all rows and column roles."""
        digest = hashlib.blake2b(repr(sorted(self.columns.to_dict().items())).encode(), digest_size=16)
        for batch in self._base.records.batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            digest.update(sink.getvalue())
        for name, file in sorted(self._base.vector_files.items()):
            digest.update(f"{name} {file.fingerprint}".encode())
        if self._index is not None:
            digest.update(self._index.tobytes())
        return digest.hexdigest()

    # -- other labels -------------------------------------------------------------------------

    def with_labels(
        self, labels: Sequence[CategoryPath | str | None], taxonomy: Taxonomy | None = None
    ) -> "Catalog":
        """The same rows under other labels: a path or an id each, None for no label.

        The tree is `taxonomy`, else the official one, else the one the new labels span.

        Raises:
            CatalogError: there are not as many labels as rows.
        """
        if len(labels) != len(self):
            raise CatalogError(f"{len(labels)} labels were given for {len(self)} rows")
        if taxonomy is None and self.official:
            taxonomy = self.taxonomy
        codes, texts, places = labels_from_values(labels, taxonomy)
        full = np.full(len(self._base.records), -1, np.int32)
        full[self.rows - self._base.first_row] = codes
        return Catalog(replace(self._base, labels=Labels(full, texts, places)), self._index)

    @property
    def image_root(self) -> Path | None:
        """The folder that the images' paths are relative to; None where no column names any path."""
        types, images = self._base.records.types, self._base.images
        paths = [name for name in images.named if "binary" not in str(types[name])]
        return images.root if paths else None

    def image_names(self, i: int) -> list[str | bytes]:
        """The images of row i as the file names them: paths, URLs, or bytes."""
        return self._base.images.names(self.raw(i))

    def images(self, i: int) -> tuple[ImageRef, ...]:
        """The images of row i, without making the whole product."""
        return self._base.images.refs(self.raw(i))
