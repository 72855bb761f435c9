"""Products of a shop export: rows of variants become one record, lists and categories are read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aisle.data.column_parsers import encode, filled
from aisle.data.dialects.attributes import AttributeTable, attribute_columns
from aisle.data.dialects.categories import CategoryReader
from aisle.data.dialects.cells import CATEGORY, LEVEL, Path, image_list, image_text
from aisle.data.dialects.grouping import RowGroups, group_rows
from aisle.data.dialects.header import Header
from aisle.data.dialects.merging import merge_rows
from aisle.data.dialects.schema import Dialect
from aisle.data.records import Records
from aisle.data.source_rows import SourceRows

_COVERAGE = 0.9  # of the fullest category column; among those above it, the first name wins
_HALF = 0.5


def rows_are_products(dialect: Dialect, names: Iterable[str]) -> bool:
    """Whether each row can be read without the others.

    Args:
        dialect: How the file is written.
        names: The columns of the file.
    """
    header, products = Header(names), dialect.products
    begins = products.begins.column if products.begins is not None else ()
    grouped = header.find_all((*begins, *products.group_by, *products.parent, *products.children))
    return not grouped and not attribute_columns(dialect.attributes, header, dialect.columns.ignored).names


class ExportProducts:
    """The products of a shop export.

    Args:
        dialect: How it is written.
        records: Its rows, in any number: they are read batch by batch.
        names: Code -> path of names, where categories are written as codes.
        images: Id of a product -> further images, where a sheet of the workbook lists them.

    Attributes:
        rows: The rows of each product.
        category_columns: The columns whose cells are read as categories.
        category_names: Code -> path of names, where categories are written as codes.
    """

    def __init__(
        self,
        dialect: Dialect,
        records: Records,
        names: Mapping[str, Path] | None = None,
        images: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.dialect, self.records, self.category_names = dialect, records, names
        self._further = images or {}
        self.header = Header(records.names)
        self._groups: RowGroups | None = group_rows(dialect.products, records)
        self.rows = SourceRows() if self._groups is None else self._groups.rows
        attributes = attribute_columns(dialect.attributes, self.header, dialect.columns.ignored)
        self._attributes = AttributeTable(attributes, records, dialect.attributes.no_value)
        self._images = self._text_columns(dialect.images.columns)
        self._position = self.header.find(dialect.images.position)
        self.category_columns = self._text_columns(dialect.category.columns)
        self._categories = CategoryReader(dialect.category, records, self.category_columns, names)

    def _text_columns(self, names: tuple[str, ...]) -> list[str]:
        columns_ = self.header.find_all(names)
        return [name for name in columns_ if pa.types.is_string(self.records.types[name])]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """One record per product, in the order of their first rows."""
        return map(self.batch, self._merged())

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The products of a batch in which each row is one, or lists the images of several rows."""
        return self._attributes.batch(self._read_categories(self._read_images(batch)))

    def _merged(self) -> Iterator[pa.RecordBatch]:
        if self._groups is None:
            empty = pa.RecordBatch.from_pylist([], pa.schema(list(self.records.types.items())))
            yield from self.records.batches or (empty,)
            return
        collect = self.header.find_all(self.dialect.products.collect)
        joined = list(self._images)
        if self._position is not None and joined:
            joined.append(self._position)
        if self.dialect.category.all_rows:
            joined += self.category_columns
        yield from merge_rows(self.records, self._groups, collect, joined)

    def _read_images(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Image cells with the images of all rows of each product, by their position."""
        rules = self.dialect.images
        plain = not (rules.separator or rules.relative or rules.cut or self._groups or self._further)
        columns = [name for name in self._images if name in batch.schema.names]
        if plain or not columns:
            return batch
        orders = None
        if self._position is not None and self._groups is not None:
            orders = batch.column(self._position).to_pylist()
            first = [next((cell for cell in cells if cell), None) for cells in orders]
            batch = _with_column(batch, self._position, first)
        texts: dict[str, list[str | None]] = {name: [] for name in columns}
        further = self._further_images(batch)
        for i, row in enumerate(zip(*(batch.column(name).to_pylist() for name in columns), strict=True)):
            seen: set[str] = set()
            for name, cell in zip(columns, row, strict=True):
                cells = cell if isinstance(cell, list) else [cell]
                if orders is not None:
                    cells = _by_position(cells, orders[i])
                images = [image for one in cells if one for image in image_list(one, rules)]
                images += further[i] if name == columns[-1] else ()
                images = [image for image in dict.fromkeys(images) if image not in seen]
                seen.update(images)
                texts[name].append(image_text(images))
        for name, cells in texts.items():
            batch = _with_column(batch, name, cells)
        return batch

    def _further_images(self, batch: pa.RecordBatch) -> list[Sequence[str]]:
        """The images of each product that are listed elsewhere."""
        sheet = self.dialect.images.sheet
        key = self.header.find(sheet.product) if sheet is not None and self._further else None
        if key is None:
            return [()] * len(batch)
        return [self._further.get((text or "").strip(), ()) for text in batch.column(key).to_pylist()]

    def _read_categories(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Category cells as `A > B`, one category a line."""
        for name in self.category_columns:
            if name in batch.schema.names:
                cells = batch.column(name).to_pylist()
                listed = [cell if isinstance(cell, list) else [cell] for cell in cells]
                batch = _with_column(batch, name, [self._categories.text(name, one) for one in listed])
        return batch

    # -- roles --------------------------------------------------------------------------------

    def roles(self, records: Records, named: str | None = None, numbers: bool = False) -> dict[str, Any]:
        """The column roles of the products.

        Args:
            records: The products, or a sample of them.
            named: The category column of an earlier catalog.
            numbers: Whether a column of numbers may be the category, for a tree with ids is known.
        """
        rules, header = self.dialect, Header(records.names)
        roles_: dict[str, Any] = {"weight": ""}
        for role in ("id", "title", "description", "date"):
            column = _first_filled(records, header.find_all(getattr(rules.columns, role)))
            if column is not None:
                roles_[role] = column
        if self._images:
            roles_["images"] = tuple(self._images)
        chosen = named if named in self.category_columns else self._category(records, numbers)
        if chosen is not None:
            roles_ |= {"category": chosen, "delimiter": LEVEL, "separator": CATEGORY}
        if self._groups is not None:
            roles_["group"] = ""
        used = {name for value in roles_.values() for name in ([value] if isinstance(value, str) else value)}
        products = rules.products
        ignored = [
            *header.find_all(rules.columns.ignored),
            *header.find_all((*products.group_by, *products.parent, *products.children)),
            *self.category_columns,
            *(name for name in self._attributes.columns.names if name in records.types),
            *([self._position] if self._position is not None else []),
        ]
        roles_["ignored"] = tuple(name for name in dict.fromkeys(ignored) if name not in used)
        return roles_

    def _category(self, records: Records, numbers: bool) -> str | None:
        """The category column: of those filled in nearly the most rows, the first; names before numbers."""
        counts, names_only, several = {}, {}, {}
        for name in self.category_columns:
            coded = encode(records.column(name))
            full = np.array([self._is_filled(text) for text in coded.values], dtype=bool)
            counts[name] = int(full[coded.codes].sum())
            texts = [text for text in coded.values if self._is_filled(text)]
            names_only[name] = sum(text.isdigit() for text in texts) <= _HALF * len(texts)
            several[name] = len(texts) > 1
        names = [name for name in counts if counts[name]] or self.category_columns
        if not numbers:
            names = [name for name in names if names_only[name] and several[name]] or names
        min_coverage = _COVERAGE * max((counts[name] for name in names), default=0)
        return next((name for name in names if counts[name] >= min_coverage), None)

    def _is_filled(self, text: str) -> bool:
        return bool(text.strip()) and not self._categories.is_none((text.strip(),))


def _first_filled(records: Records, columns: list[str]) -> str | None:
    """The first column that is filled in at least half as many rows as the fullest."""
    if not len(records):
        return next(iter(columns), None)
    counts = {name: sum(int(filled(array).sum()) for array in records.column(name)) for name in columns}
    min_filled = max(_HALF * max(counts.values(), default=0), 1)
    return next((name for name in columns if counts[name] >= min_filled), None)


def _with_column(batch: pa.RecordBatch, name: str, cells: list[str | None] | list[str]) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), name, pa.array(cells, pa.string()))


def _by_position(cells: list[str | None], positions: list[str | None]) -> list[str | None]:
    """Cells in the order of their positions; those without a position stay behind the cell before them."""
    keys: list[float] = []
    for position in positions:
        text = (position or "").strip()
        keys.append(float(text) if text.replace(".", "", 1).isdigit() else keys[-1] if keys else 0.0)
    return [cells[i] for i in sorted(range(len(cells)), key=keys.__getitem__)]
