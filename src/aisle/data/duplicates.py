"""Duplicates: groups of rows with equal text, first image or group column."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from aisle.data import column_parsers
from aisle.data.catalog_data import CatalogData
from aisle.data.product import ImageRef, Product
from aisle.data.text import normalize
from aisle.regular_files import read_bytes

_SIZE = 16  # bytes of a hash


def digest(data: bytes) -> bytes:
    """A 16-byte BLAKE2b hash; a collision among ten million rows has a probability of about 10^-25."""
    return hashlib.blake2b(data, digest_size=_SIZE).digest()


def keys(catalog: CatalogData) -> np.ndarray:
    """(n,) 16-byte hashes of each row: of title and description, else of its images, else of all fields."""
    out = np.zeros(len(catalog.records), dtype=f"V{_SIZE}")
    needed = [name for name in catalog.records.names if name not in catalog.columns.vectors]
    for i, record in enumerate(catalog.records.rows(needed)):
        out[i] = np.void(_key(catalog, record))
    return out


def _key(catalog: CatalogData, record: Mapping[str, Any]) -> bytes:
    text = _normalized_text(catalog, record)
    if text:
        return digest(b"text\0" + text.encode())
    images = catalog.images.names(record)
    if images:
        parts = [name if isinstance(name, bytes) else name.encode() for name in images]
        return digest(b"images\0" + b"\0".join(digest(part) for part in parts))
    fields = {name: normalize(str(record.get(column) or "")) for name, column in catalog.columns.text.items()}
    return digest(b"fields\0" + repr(sorted(fields.items())).encode())


def product_key(product: Product) -> bytes:
    """The hash of one product, equal to that of `keys` where the row has a title or a description."""
    words = [normalize(product.fields.get(name, "")) for name in ("title", "description")]
    if any(words):
        return digest(b"text\0" + "\0".join(words).encode())
    if product.images:
        parts = [
            image.data if image.data is not None else str(image.path).encode() for image in product.images
        ]
        return digest(b"images\0" + b"\0".join(map(digest, parts)))
    fields = {name: normalize(text) for name, text in product.fields.items()}
    return digest(b"fields\0" + repr(sorted(fields.items())).encode())


def _normalized_text(catalog: CatalogData, record: Mapping[str, Any]) -> str:
    """Normalized title and description; blank where the row has neither."""
    columns = (catalog.columns.title, catalog.columns.description)
    words = [normalize(str(record.get(column) or "")) if column else "" for column in columns]
    return "\0".join(words) if any(words) else ""


def groups(catalog: CatalogData, images: bool = True) -> np.ndarray:
    """(n,) int32 group numbers from 0, in order of their first rows.

    Groups are connected components of rows with equal text, first image or group column. Rows are compared by
    64-bit hashes: among ten million, two different ones collide once in 400,000 catalogs.

    Args:
        catalog: The records.
        images: Whether byte-identical first images count.
    """
    edges = [_equal_pairs(_text_hashes(catalog))]
    if catalog.columns.group is not None:
        coded = column_parsers.encode(catalog.records.column(catalog.columns.group))
        filled = np.array([bool(value.strip()) for value in coded.values], dtype=bool)
        edges.append(_equal_pairs(np.where(filled[coded.codes], coded.codes.astype(np.int64) + 1, 0)))
    if images and catalog.images.source_columns:
        edges.append(same_images(catalog))
    return components(np.concatenate(edges), len(catalog.records))


def components(edges: np.ndarray, n: int) -> np.ndarray:
    """(n,) int32 numbers of the connected components of edges (E, 2), in order of their first members."""
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import connected_components

    if not len(edges):
        return np.arange(n, dtype=np.int32)
    graph = sparse.coo_array((np.ones(len(edges), bool), edges.T), (n, n))
    return connected_components(graph.tocsr(), directed=False)[1]


def same_images(catalog: CatalogData) -> np.ndarray:
    """(E, 2) rows with byte-identical first images, each row with the next."""
    return _equal_pairs(_image_hashes(catalog))


def _equal_pairs(values: np.ndarray) -> np.ndarray:
    """(E, 2) int32 pairs of each row with the previous one of equal value; 0 is no value."""
    order = np.argsort(values, kind="stable").astype(np.int32)
    ordered = values[order]
    again = np.flatnonzero((ordered[1:] == ordered[:-1]) & (ordered[1:] != 0))
    return np.stack([order[again], order[again + 1]], 1)


def members(groups: np.ndarray) -> Iterator[np.ndarray]:
    """Sorted positions of each group (numbered from 0) of more than one row."""
    shared = np.flatnonzero(np.bincount(groups)[groups] > 1) if len(groups) else np.empty(0, np.int64)
    order = shared[np.argsort(groups[shared], kind="stable")]
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    start = 0
    for stop in [*edges.tolist(), len(order)]:
        if stop > start:
            yield order[start:stop]
        start = stop


def _as_number(hashed: bytes) -> int:
    """A hash as a number other than 0."""
    return int.from_bytes(hashed[:8], "little") or 1


def _text_hashes(catalog: CatalogData) -> np.ndarray:
    """(n,) uint64 hashes of title and description; 0 where there are none."""
    out = np.zeros(len(catalog.records), np.uint64)
    names = [name for name in (catalog.columns.title, catalog.columns.description) if name is not None]
    if names:
        for i, record in enumerate(catalog.records.rows(names)):
            words = _normalized_text(catalog, record)
            if words:
                out[i] = _as_number(digest(words.encode()))
    return out


def _image_hashes(catalog: CatalogData) -> np.ndarray:
    """(n,) uint64 hashes of the bytes of first images; 0 where there is none.

    Only files are read whose size another file has too.
    """

    @lru_cache(2**16)
    def hashed(path: Path) -> int:
        try:
            return _as_number(digest(read_bytes(path)))
        except (OSError, ValueError):
            return 0

    sizes = np.fromiter(map(_size, _first_images(catalog)), np.int64, len(catalog.records))
    values, counts = np.unique(sizes, return_counts=True)
    shared = np.isin(sizes, values[counts > 1]) & (sizes > 0)
    out = np.zeros(len(catalog.records), np.uint64)
    for i, ref in enumerate(_first_images(catalog)) if shared.any() else ():
        if shared[i] and ref is not None:
            out[i] = hashed(ref.path) if ref.path is not None else _as_number(digest(ref.data or b""))
    return out


def _first_images(catalog: CatalogData) -> Iterator[ImageRef | None]:
    for record in catalog.records.rows(catalog.images.source_columns):
        refs = catalog.images.refs(record)
        yield refs[0] if refs else None


def _size(ref: ImageRef | None) -> int:
    if ref is None:
        return 0
    if ref.data is not None:
        return len(ref.data)
    try:
        return ref.path.stat().st_size if ref.path is not None else 0
    except (OSError, ValueError):
        return 0
