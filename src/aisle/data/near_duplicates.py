"""Near-duplicates: groups of rows with similar titles or first images, kept in one split.

Groups are connected components of `aisle.data.duplicates` plus similar titles (`title_similarity`) and
similar images (`perceptual_hash`). A component of more than `max_group_size` different products is cut: only
closer pairs count (titles from a cosine of 0.88, then 0.95; images up to 12, then 4 bits), and if it is still
too large, none. A placeholder image or a template of titles so groups nothing.
"""

from itertools import groupby, pairwise

import numpy as np

from aisle.data import duplicates
from aisle.data.catalog_data import CatalogData
from aisle.data.image_scan import ImageHashes
from aisle.data.perceptual_hash import similar_hashes
from aisle.data.text import normalize
from aisle.data.title_similarity import similar_titles

_COSINES = (0.88, 0.95)  # from the second and from the third level of closeness on
_BITS = (12, 4)
_CLOSEST = len(_COSINES)


def max_group_size(rows: int) -> int:
    """The largest number of different products in a group of near-duplicates."""
    return min(max(10, rows // 20), 200)


def groups(base: CatalogData, seen: ImageHashes | None) -> np.ndarray:
    """(n,) int32 group numbers from 0, in order of their first rows.

    Args:
        base: The records.
        seen: Hashes of first images. If None, only byte-identical images count.
    """
    n = len(base.records)
    exact = duplicates.groups(base, images=False)
    edges, closeness = _title_edges(base)
    more, how = _image_edges(base, seen)
    edges, closeness = np.concatenate([edges, more]), np.concatenate([closeness, how])
    joined = exact[edges]
    apart = joined[:, 0] != joined[:, 1]
    joined, closeness = joined[apart], closeness[apart]
    together = _bounded(joined, closeness, int(exact.max(initial=-1)) + 1, max_group_size(n))
    return _in_order(together[exact])


def _bounded(edges: np.ndarray, closeness: np.ndarray, n: int, most: int) -> np.ndarray:
    """(n,) components of which none has more than `most` members: in larger ones only closer edges count."""
    for level in range(1, _CLOSEST + 2):
        found = duplicates.components(edges, n)
        large = np.bincount(found, minlength=1)[found[edges[:, 0]]] > most
        if not large.any():
            return found
        kept = ~large | (closeness >= level)
        edges, closeness = edges[kept], closeness[kept]
    return duplicates.components(edges, n)


def _title_edges(base: CatalogData) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) rows with equal or nearly equal titles, and how close they are."""
    column = base.columns.title or base.columns.description
    empty = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    if column is None:
        return empty
    cells = (cell for array in base.records.column(column) for cell in array.to_pylist())
    rows = [(text, row) for row, cell in enumerate(cells) if (text := normalize(str(cell or "")))]
    rows.sort()
    same = [[row for _, row in some] for _, some in groupby(rows, key=lambda pair: pair[0])]
    chains = [pair for some in same for pair in pairwise(some)]
    titles = [text for text, _ in groupby(text for text, _ in rows)]
    near = similar_titles(titles)
    first = np.array([some[0] for some in same] or [0], np.int64)
    equal = np.array(chains, np.int64).reshape(-1, 2)
    closeness = np.searchsorted(_COSINES, near.cosine, side="right")
    edges = np.concatenate([equal, first[near.pairs]])
    return edges, np.concatenate([np.full(len(equal), _CLOSEST), closeness])


def _image_edges(base: CatalogData, seen: ImageHashes | None) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) rows whose first images are the same or look alike, and how close they are."""
    if not base.images.named:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    same = duplicates.same_images(base).astype(np.int64)
    if seen is None:
        return same, np.full(len(same), _CLOSEST)
    alike, bits = similar_hashes(seen.hashes)
    closeness = _CLOSEST - np.searchsorted(_BITS[::-1], bits, side="left")
    edges = np.concatenate([same, (seen.rows - 1)[alike]])
    return edges, np.concatenate([np.full(len(same), _CLOSEST), closeness])


def _in_order(groups: np.ndarray) -> np.ndarray:
    """The same groups, numbered in order of their first rows."""
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first), dtype=np.int32)
    return rank[number]
