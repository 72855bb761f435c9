"""Products as Arrow rows of an index: values to show, to filter by and to search."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as _compute

from aisle.data import Catalog, ImageRef, Product
from aisle.data.images import ImageError, jpeg_thumbnail
from aisle.search.bm25 import word_keys
from aisle.search.filters import FilterColumn, path_key
from aisle.taxonomy import CategoryPath, format_path

pc: Any = _compute  # its functions are created at import, unknown to type checkers
_SIDE = 200  # pixels of a thumbnail, stored for an image without a file
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"  # not 007, 1,5 or 1e5, which may be codes
_DIGITS = 15  # float64 is exact up to here; longer numbers are identifiers
_OWN = {
    "id": FilterColumn("id", "exact"),
    "category": FilterColumn("category_key", "category"),
}
_TITLES = ("title", "name")


class EmbeddedBatch(NamedTuple):
    """B products with their vectors and categories.

    Attributes:
        products: The products.
        vectors: (B, D) of length 1, or zeros.
        categories: Categories of each product: its labels, or the model's prediction.
    """

    products: Sequence[Product]
    vectors: np.ndarray
    categories: Sequence[tuple[CategoryPath, ...]]


def number(text: str) -> float | None:
    """Parse a plain number, such as `12.50`; None for others: `007`, `0,125`, `AB12`, `£5`, `1e5`."""
    text = text.strip()
    plain = re.match(_NUMBER, text) and sum(c.isdigit() for c in text) <= _DIGITS
    return float(text) if plain else None


def filter_columns(catalog: Catalog) -> dict[str, FilterColumn]:
    """Fields that products can be filtered by: id, category, and every field but the description.

    A field is numeric if each of its values is a plain number.
    """
    columns = dict(_OWN)
    for name, source in catalog.columns.text.items():
        if name == "description" or name.casefold() in {known.casefold() for known in columns}:
            continue
        columns[name] = FilterColumn(f"f{len(columns)}", "number" if _numeric(catalog, source) else "text")
    return columns


def _numeric(catalog: Catalog, column: str) -> bool:
    values = 0
    for chunk in catalog.raw_column(column):
        if not pa.types.is_string(chunk.type):
            return False
        text = pc.utf8_trim_whitespace(chunk.drop_null())
        text = text.filter(pc.not_equal(text, ""))
        digits = pc.utf8_length(pc.replace_substring_regex(text, "[^0-9]", ""))
        plain = pc.and_(pc.match_substring_regex(text, _NUMBER), pc.less_equal(digits, _DIGITS))
        if not pc.all(plain, min_count=0).as_py():
            return False
        values += len(text)
    return values > 0


def not_numbers(products: Iterable[Product], columns: Mapping[str, FilterColumn]) -> Counter[str]:
    """Number of values in each numeric field that are not plain numbers."""
    numeric = [name for name, column in columns.items() if column.kind == "number"]
    values = ((name, product.fields.get(name)) for product in products for name in numeric)
    return Counter(name for name, value in values if value and number(value) is None)


def schema(columns: Mapping[str, FilterColumn], dim: int) -> pa.Schema:
    """Arrow schema of an index's rows.

    Args:
        columns: Fields to filter by.
        dim: Width of a vector.
    """
    kinds = {"number": pa.float64(), "text": pa.string()}
    reserved = {column.key for column in _OWN.values()}
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("fields", pa.string()),  # JSON
            pa.field("text", pa.string()),
            pa.field("words", pa.list_(pa.uint32())),
            pa.field("category", pa.string()),
            pa.field("category_key", pa.string()),
            pa.field("category_prefixes", pa.list_(pa.string())),
            pa.field("image_path", pa.string()),
            pa.field("image_data", pa.binary()),
            pa.field("vector", pa.list_(pa.float32(), dim)),
            *(pa.field(c.key, kinds[c.kind]) for c in columns.values() if c.key not in reserved),
        ]
    )


def to_arrow(batch: EmbeddedBatch, columns: Mapping[str, FilterColumn], dim: int) -> pa.Table:
    """Convert a batch of products to rows.

    Args:
        batch: The products.
        columns: Fields to filter by.
        dim: Width of a vector.
    """
    rows = [_row(batch, i, columns) for i in range(len(batch.products))]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(batch.vectors.astype(np.float32).ravel()), dim)
    fields = schema(columns, dim)
    arrays = [
        vectors if field.name == "vector" else pa.array([row[field.name] for row in rows], field.type)
        for field in fields
    ]
    return pa.table(arrays, schema=fields)


def latest_of_each(table: pa.Table) -> pa.Table:
    """The last row of each id, in order."""
    last = {name: i for i, name in enumerate(table.column("id").to_pylist())}
    return table if len(last) == table.num_rows else table.take(sorted(last.values()))


def _row(batch: EmbeddedBatch, i: int, columns: Mapping[str, FilterColumn]) -> dict[str, object]:
    product, categories = batch.products[i], batch.categories[i]
    text = text_of(product)
    image_path, image_data = _image(product.images[0]) if product.images else (None, None)
    row: dict[str, object] = {
        "id": product.id,
        "fields": json.dumps(dict(product.fields), ensure_ascii=False),
        "text": text,
        "words": word_keys(text),
        "category": format_path(categories[0]) if categories else None,
        "category_key": path_key(categories[0]) if categories else None,
        "category_prefixes": sorted({part for path in categories for part in _parts(path)}),
        "image_path": image_path,
        "image_data": image_data,
    }
    for name, column in columns.items():
        if column.key not in row:
            value = product.fields.get(name)
            folded = number(value) if value and column.kind == "number" else value and value.casefold()
            row[column.key] = folded if folded != "" else None
    return row


def text_of(product: Product) -> str:
    """All text of a product, the title first."""
    names = sorted(product.fields, key=lambda name: (name not in _TITLES, name))
    return "\n".join(product.fields[name] for name in names)


def _parts(path: CategoryPath) -> Iterable[str]:
    """Keys of all contiguous parts of a path, so that `under` finds a branch by its name alone."""
    n = len(path)
    return (path_key(path[start:stop]) for start in range(n) for stop in range(start + 1, n + 1))


def _image(ref: ImageRef) -> tuple[str | None, bytes | None]:
    """Path of an image's file; without a file, the bytes of a thumbnail."""
    if ref.path is not None:
        return str(Path(ref.path).absolute()), None
    try:
        return None, jpeg_thumbnail(ref, _SIDE)
    except ImageError:
        return None, None
