"""Near-duplicates: groups of rows with similar titles or first images, kept in one split.

Groups are connected components of `aisle.data.duplicates` plus similar titles (`title_similarity`) and
similar images (`perceptual_hash`). A component of more than `max_group_size` different products is cut: only
closer pairs count (titles from a cosine of 0.88, then 0.95; images up to 12, then 4 bits), and if it is still
too large, none. So a placeholder image or a template of titles makes no group.
"""

from itertools import groupby, pairwise

import numpy as np

from aisle.data import duplicates
from aisle.data.catalog_data import CatalogData
from aisle.data.image_scan import ImageHashes
from aisle.data.perceptual_hash import similar_hashes
from aisle.data.text import normalize
from aisle.data.title_similarity import similar_titles

_COSINES = (0.88, 0.95)  # minimum of the second and third level of closeness
_BITS = (12, 4)
_CLOSEST = len(_COSINES)


def max_group_size(rows: int) -> int:
    """The largest number of different products in a group of near-duplicates."""
    return min(max(10, rows // 20), 200)


def groups(data: CatalogData, hashes: ImageHashes | None) -> np.ndarray:
    """(n,) int32 group numbers from 0, in order of their first rows.

    Args:
        data: The records.
        hashes: Hashes of first images. If None, only byte-identical images count.
    """
    n = len(data.records)
    exact = duplicates.groups(data, images=False)
    edges, closeness = _title_edges(data)
    image_edges, image_closeness = _image_edges(data, hashes)
    edges, closeness = np.concatenate([edges, image_edges]), np.concatenate([closeness, image_closeness])
    joined = exact[edges]
    distinct = joined[:, 0] != joined[:, 1]
    joined, closeness = joined[distinct], closeness[distinct]
    components = _limit_size(joined, closeness, int(exact.max(initial=-1)) + 1, max_group_size(n))
    return _in_order(components[exact])


def _limit_size(edges: np.ndarray, closeness: np.ndarray, n: int, limit: int) -> np.ndarray:
    """(n,) components of at most `limit` members: in larger ones, only closer edges count."""
    for level in range(1, _CLOSEST + 2):
        components = duplicates.components(edges, n)
        large = np.bincount(components, minlength=1)[components[edges[:, 0]]] > limit
        if not large.any():
            return components
        kept = ~large | (closeness >= level)
        edges, closeness = edges[kept], closeness[kept]
    return duplicates.components(edges, n)


def _title_edges(data: CatalogData) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) rows with equal or nearly equal titles, and how close they are."""
    column = data.columns.title or data.columns.description
    empty = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    if column is None:
        return empty
    cells = (cell for array in data.records.column(column) for cell in array.to_pylist())
    rows = [(text, row) for row, cell in enumerate(cells) if (text := normalize(str(cell or "")))]
    rows.sort()
    same = [[row for _, row in rows_of_title] for _, rows_of_title in groupby(rows, key=lambda pair: pair[0])]
    equal_pairs = [pair for rows_of_title in same for pair in pairwise(rows_of_title)]
    titles = [text for text, _ in groupby(text for text, _ in rows)]
    pairs = similar_titles(titles)
    first = np.array([rows_of_title[0] for rows_of_title in same] or [0], np.int64)
    equal = np.array(equal_pairs, np.int64).reshape(-1, 2)
    closeness = np.searchsorted(_COSINES, pairs.cosine, side="right")
    edges = np.concatenate([equal, first[pairs.pairs]])
    return edges, np.concatenate([np.full(len(equal), _CLOSEST), closeness])


def _image_edges(data: CatalogData, hashes: ImageHashes | None) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) rows whose first images are the same or look alike, and how close they are."""
    if not data.images.source_columns:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    same = duplicates.same_images(data).astype(np.int64)
    if hashes is None:
        return same, np.full(len(same), _CLOSEST)
    similar, bits = similar_hashes(hashes.hashes)
    closeness = _CLOSEST - np.searchsorted(_BITS[::-1], bits, side="left")
    edges = np.concatenate([same, (hashes.rows - 1)[similar]])
    return edges, np.concatenate([np.full(len(same), _CLOSEST), closeness])


def _in_order(groups: np.ndarray) -> np.ndarray:
    """The same groups, numbered in order of their first rows."""
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first), dtype=np.int32)
    return rank[number]
