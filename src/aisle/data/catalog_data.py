"""The data that all selections of a catalog share, with values that are computed once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from aisle.data import column_parsers
from aisle.data.addresses import Address
from aisle.data.catalog_format import CatalogFormat, resolved_roles, without_separators
from aisle.data.category_objects import category_objects
from aisle.data.columns import Columns
from aisle.data.dates import Dates
from aisle.data.dialects import Dialect
from aisle.data.files import SourceFile
from aisle.data.image_refs import ImageResolver
from aisle.data.label_reading import Labels
from aisle.data.labels import LabelStyle
from aisle.data.problems import Problems
from aisle.data.product import Product
from aisle.data.records import Records
from aisle.data.source_rows import SourceRows
from aisle.data.split_names import SPLITS, read_splits
from aisle.data.text import strip_markup
from aisle.data.vectors import VectorFile

_KEPT_CELLS, _KEPT_LENGTH = 50, 500  # cells of the category column that a format keeps, and their characters


@dataclass
class CatalogData:
    """The data of n records that all selections of one catalog share.

    Attributes:
        cache: Values that are computed once, by name.
        source_rows: The rows of the source that each record comes from.
        dialect: The dialect of the source; None if it is of no known platform.
        source_records: The rows of the source; None where they are `records`.
        user_format: The column roles and text format that the user stated.
        category_codes: Code -> path of names, where a file gave codes of categories their names.
    """

    records: Records
    columns: Columns
    labels: Labels
    problems: Problems
    images: ImageResolver
    files: tuple[SourceFile, ...] = ()
    vector_files: Mapping[str, VectorFile] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict)
    source_rows: SourceRows = field(default_factory=SourceRows)
    dialect: Dialect | None = None
    source_records: Records | None = None
    user_format: CatalogFormat = field(default_factory=CatalogFormat)
    category_codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def split(self) -> column_parsers.DictionaryEncoded | None:
        """The split of each record, one of `SPLITS` or blank.

        Raises:
            CatalogError: A cell has an unknown value.
        """
        if self.columns.split is None:
            return None
        encoded = column_parsers.encode(self.records.column(self.columns.split))
        counts = np.bincount(encoded.codes, minlength=len(encoded.values)).tolist()
        names = read_splits(dict(zip(encoded.values, counts, strict=True)), self.columns.split)
        values = ["", *SPLITS]
        product_id = np.array([values.index(names[value]) for value in encoded.values], np.int32)
        return column_parsers.DictionaryEncoded(product_id[encoded.codes], values)

    @cached_property
    def weights(self) -> np.ndarray | None:
        """(n,) float64 sample weights; their problems were reported when the catalog was read."""
        return column_parsers.read_weights(self.records, self.columns.weight, Problems())

    @cached_property
    def dates(self) -> Dates | None:
        """The n dates."""
        return column_parsers.read_dates(
            self.records, self.columns.date, Problems(), self.columns.date_format
        )

    @cached_property
    def fatal(self) -> np.ndarray:
        """(n,) bool: rows with a fatal problem."""
        mask = np.zeros(len(self.records), dtype=bool)
        mask[self.problems.fatal_positions()] = True
        return mask

    def catalog_format(self, style: LabelStyle | None) -> CatalogFormat:
        """The format of the source; `style` is that of its labels, if it has any."""
        official = self.labels.mapping.official
        columns = resolved_roles(self.columns, style, official, self.images.separator)
        if self.dialect is not None:
            columns = without_separators(columns, self.user_format.given)
        labelled = bool(self.labels.texts)
        return replace(
            self.user_format,
            columns=columns,
            category_cells=self._category_cells() if labelled else (),
            category_codes=self.category_codes,
            category_objects=self._category_objects if labelled else {},
        )

    def _category_cells(self) -> tuple[str, ...]:
        """The first distinct cells of the category column, as the source has them."""
        records, name = self.source_records or self.records, self.columns.category
        categories: dict[str, None] = {}
        if name is None or name not in records.types:
            return ()
        for array in records.column(name):
            for cell in column_parsers.as_text(array).unique().to_pylist():
                if len(categories) >= _KEPT_CELLS:
                    return tuple(categories)
                if cell and not cell.isspace() and len(cell) <= _KEPT_LENGTH:
                    categories.setdefault(cell)
        return tuple(categories)

    @cached_property
    def _category_objects(self) -> dict[str, Any]:
        """The JSON objects by which the source wrote its categories, by name."""
        name = self.columns.category
        if name is None or len(self.files) != 1 or isinstance(self.files[0].path, Address):
            return {}  # the copy of an address is gone once it was read
        return category_objects(self.files[0].path, name, self.user_format.encoding)

    def fingerprint(self, index: np.ndarray | None) -> str:
        """A hash of the records at `index` (None: all) and of the column roles."""
        digest = hashlib.blake2b(repr(sorted(self.columns.to_dict().items())).encode(), digest_size=16)
        for batch in self.records.batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            digest.update(sink.getvalue())
        for name, file in sorted(self.vector_files.items()):
            digest.update(f"{name} {file.fingerprint}".encode())
        if index is not None:
            digest.update(index.tobytes())
        return digest.hexdigest()

    def product(self, row: int, record: Mapping[str, Any]) -> Product:
        """Record number `row` (from 0) as a product."""
        fields = {}
        for name, column in self.columns.text.items():
            value = record.get(column)
            if isinstance(value, str) and not value.isspace() and value:
                text = strip_markup(value)
                if text:
                    fields[name] = text
        vectors = {
            name: np.asarray(record[name], dtype=np.float32)
            for name in self.columns.vectors
            if record.get(name) is not None and len(record[name])
        }
        code = int(self.labels.codes[row])
        number = self.source_rows.number(row)
        product_id = str(record.get(self.columns.id) or number) if self.columns.id else str(number)
        file_vectors = {name: file.get(product_id) for name, file in self.vector_files.items()}
        vectors |= {name: vector for name, vector in file_vectors.items() if vector is not None}
        return Product(
            id=product_id,
            fields=fields,
            images=self.images.refs(record),
            vectors=vectors,
            categories=self.labels.mapping.categories[code] if code >= 0 else (),
        )
