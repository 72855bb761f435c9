"""Products as an index keeps them: Arrow rows of what is shown, what is filtered by and what is searched."""

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from aisle.catalog import Catalog, ImageRef, Product
from aisle.catalog.pictures import PictureError, decode
from aisle.search.where import Column, place
from aisle.search.words import word_keys
from aisle.taxonomy import CategoryPath, format_path

_SIDE = 200  # pixels of a kept picture, where the catalogue holds bytes and no file
_TRIED = 5_000  # values looked at to tell whether a field holds numbers
_NUMERIC = 0.95  # share of them that must be
_NUMBER = re.compile(r"^\D{0,4}?\s*([-+]?\d[\d ',.]*)\s*\D{0,4}$")
_OWN = {
    "id": Column("id", "exact"),
    "category": Column("category_key", "places"),
}
_TITLES = ("title", "name")


class Placed(NamedTuple):
    """Products with their vectors (B, D) and the category of each: its label, or what the model answers."""

    products: Sequence[Product]
    vectors: np.ndarray
    categories: Sequence[tuple[CategoryPath, ...]]


def number(text: str) -> float | None:
    """`£1,299.00` -> 1299.0; None where the text is no number, however it is written."""
    found = _NUMBER.match(text.strip())
    if found is None:
        return None
    digits = re.sub(r"[ ']", "", found[1])
    comma, point = digits.rfind(","), digits.rfind(".")
    if comma > point and len(digits) - comma - 1 != 3:
        digits = digits.replace(".", "").replace(",", ".")  # 12,50 and 1.299,00
    else:
        digits = digits.replace(",", "")
    try:
        return float(digits)
    except ValueError:
        return None


def filter_columns(catalog: Catalog) -> dict[str, Column]:
    """What products can be filtered by: their id, category and every field of theirs but the description.
    A field holds numbers where nearly all of its values are."""
    found = dict(_OWN)
    for name, source in catalog.columns.text.items():
        if name == "description" or name.casefold() in {known.casefold() for known in found}:
            continue
        found[name] = Column(f"f{len(found)}", "number" if _numeric(catalog, source) else "text")
    return found


def _numeric(catalog: Catalog, column: str) -> bool:
    tried = good = 0
    for piece in catalog.raw_column(column):
        if not (pa.types.is_string(piece.type) or pa.types.is_large_string(piece.type)):
            return False
        for value in piece.to_pylist():
            if value and value.strip():
                tried += 1
                good += number(value) is not None
            if tried == _TRIED:
                return good >= _NUMERIC * tried
    return bool(tried) and good >= _NUMERIC * tried


def schema(columns: Mapping[str, Column], dim: int) -> pa.Schema:
    """The columns of an index's rows."""
    kinds = {"number": pa.float64(), "text": pa.string()}
    own = {column.key for column in _OWN.values()}
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("fields", pa.string()),  # JSON
            pa.field("text", pa.string()),
            pa.field("words", pa.list_(pa.uint32())),
            pa.field("category", pa.string()),
            pa.field("category_key", pa.string()),
            pa.field("places", pa.list_(pa.string())),
            pa.field("image", pa.string()),
            pa.field("picture", pa.binary()),
            pa.field("vector", pa.list_(pa.float32(), dim)),
            *(pa.field(c.key, kinds[c.kind]) for c in columns.values() if c.key not in own),
        ]
    )


def to_arrow(placed: Placed, columns: Mapping[str, Column], dim: int) -> pa.Table:
    """A batch of products as rows."""
    rows = [_row(placed, i, columns) for i in range(len(placed.products))]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(placed.vectors.astype(np.float32).ravel()), dim)
    wanted = schema(columns, dim)
    arrays = [
        vectors if field.name == "vector" else pa.array([row[field.name] for row in rows], field.type)
        for field in wanted
    ]
    return pa.table(arrays, schema=wanted)


def latest_of_each(table: pa.Table) -> pa.Table:
    """Of rows that share an id the last one, in order."""
    last = {name: i for i, name in enumerate(table.column("id").to_pylist())}
    return table if len(last) == table.num_rows else table.take(sorted(last.values()))


def _row(placed: Placed, i: int, columns: Mapping[str, Column]) -> dict[str, object]:
    product, categories = placed.products[i], placed.categories[i]
    text = text_of(product)
    image, picture = _picture(product.images[0]) if product.images else (None, None)
    row: dict[str, object] = {
        "id": product.id,
        "fields": json.dumps(dict(product.fields), ensure_ascii=False),
        "text": text,
        "words": word_keys(text),
        "category": format_path(categories[0]) if categories else None,
        "category_key": place(categories[0]) if categories else None,
        "places": sorted({part for path in categories for part in _parts(path)}),
        "image": image,
        "picture": picture,
    }
    for name, column in columns.items():
        if column.key not in row:
            value = product.fields.get(name)
            folded = number(value) if value and column.kind == "number" else value and value.casefold()
            row[column.key] = folded if folded != "" else None
    return row


def text_of(product: Product) -> str:
    """All words of a product: the title first."""
    names = sorted(product.fields, key=lambda name: (name not in _TITLES, name))
    return "\n".join(product.fields[name] for name in names)


def _parts(path: CategoryPath) -> Iterable[str]:
    """Every stretch of a path, so that a branch is found by its name alone too."""
    n = len(path)
    return (place(path[start:stop]) for start in range(n) for stop in range(start + 1, n + 1))


def _picture(ref: ImageRef) -> tuple[str | None, bytes | None]:
    """Where a picture lies; or, of one that lies in no file, a small copy of it."""
    if ref.path is not None:
        return str(Path(ref.path).absolute()), None
    try:
        return None, small_jpeg(ref)
    except PictureError:
        return None, None


def small_jpeg(ref: ImageRef, side: int = _SIDE) -> bytes:
    """A picture at most so many pixels wide and high, re-encoded: nothing of it but its pixels.

    Raises:
        PictureError: it cannot be read.
    """
    image = decode(ref, side)
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=75)
    return out.getvalue()
