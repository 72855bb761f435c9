"""Rows that show nearly the same product, kept on one side of every split.

What ties rows beyond `aisle.data.duplicates`: first images that look alike or are the same, and titles
that are equal or nearly equal (`near_titles`). Ties must not chain a shop together: where they join more than
`most_joined` different products, only the closer ones count (of titles from a cosine of 0.88, then 0.95; of
images up to 12, then 4 bits), and if that is still too many, none: a placeholder image or a template of
titles says nothing.
"""

from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from aisle.data import duplicates
from aisle.data.image_scan import ImageHashes
from aisle.data.near_titles import near_titles
from aisle.data.perceptual_hash import pairs
from aisle.data.text import normalize

if TYPE_CHECKING:
    from aisle.data.catalog import CatalogData

_COSINES = (0.88, 0.95)  # from the second and from the third level of closeness on
_BITS = (12, 4)
_CLOSEST = len(_COSINES)


def most_joined(rows: int) -> int:
    """How many different products near-duplicates may join in a catalog of so many rows."""
    return min(max(10, rows // 20), 200)


def groups(base: "CatalogData", seen: ImageHashes | None) -> np.ndarray:
    """(n,) int32 group numbers from 0, in order of their first rows.

    Args:
        base: the records.
        seen: what first images look like; None: images do not count, but for equal bytes.
    """
    n = len(base.records)
    exact = duplicates.groups(base, images=False)
    edges, closeness = _title_edges(base)
    more, how = _image_edges(base, seen)
    edges, closeness = np.concatenate([edges, more]), np.concatenate([closeness, how])
    joined = exact[edges]
    apart = joined[:, 0] != joined[:, 1]
    joined, closeness = joined[apart], closeness[apart]
    together = _bounded(joined, closeness, int(exact.max(initial=-1)) + 1, most_joined(n))
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


def _title_edges(base: "CatalogData") -> tuple[np.ndarray, np.ndarray]:
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
    near = near_titles(titles)
    first = np.array([some[0] for some in same] or [0], np.int64)
    equal = np.array(chains, np.int64).reshape(-1, 2)
    closeness = np.searchsorted(_COSINES, near.cosine, side="right")
    edges = np.concatenate([equal, first[near.pairs]])
    return edges, np.concatenate([np.full(len(equal), _CLOSEST), closeness])


def _image_edges(base: "CatalogData", seen: ImageHashes | None) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) rows whose first images are the same or look alike, and how close they are."""
    if not base.images.named:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    same = duplicates.same_images(base).astype(np.int64)
    if seen is None:
        return same, np.full(len(same), _CLOSEST)
    alike, bits = pairs(seen.hashes)
    closeness = _CLOSEST - np.searchsorted(_BITS[::-1], bits, side="left")
    edges = np.concatenate([same, (seen.rows - 1)[alike]])
    return edges, np.concatenate([np.full(len(same), _CLOSEST), closeness])


def _in_order(groups: np.ndarray) -> np.ndarray:
    """The same groups, numbered in order of their first rows."""
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first), dtype=np.int32)
    return rank[number]
