"""Finds near-duplicate images: cropped, re-encoded, resized or brightened copies.

A cropped copy resembles a part of the original. So small versions of each image's parts are compared with
small versions of all whole images. For each candidate, the edges of the part are moved to maximise the
correlation of brightness. The gradients must correlate too, because a dark table, a black frame or a bright
wall can dominate the brightness of unrelated images.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from aisle.data import ImageRef
from aisle.data.images import ImageError, decode
from aisle.progress import SILENT, Advance, Progress
from aisle.search.ivf import InvertedLists, arrange

MIN_CORRELATION = 0.9  # correlation of brightness of near-duplicate images, at least
# Chosen on altered `train` listings and colour variants: of pairs above MIN_CORRELATION, 98 % of the true
# ones reach it, and few others.
_MIN_GRADIENT_CORRELATION = 0.75  # mean correlation of gradients over windows, at least
_EDGE = 8.0  # grey levels per pixel; steeper gradients saturate
_WINDOW = 16  # pixels
_FLAT = 4.0  # mean squared gradient below which a window is ignored
# Of 1,000 listings, 252 pairs end above .95: 99 % of them pass these limits, and 1 in 50 of the others.
_MIN_CANDIDATE = 0.85  # correlation of the small versions of a candidate pair, at least
_MIN_AFTER_STEP = {
    4.0: 0.77,
    2.0: 0.87,
    1.0: MIN_CORRELATION,
}  # step of the edges in pixels -> correlation after it, at least
_MAX_CANDIDATES = 6  # candidates of an image, at most
_MAX_IDENTICAL = 60  # listings with an identical image; more share a placeholder
_SIDE = 96  # pixels of a decoded image
_COMPARED_SIDE = 64  # pixels, to compare a pair
_THUMBNAIL_SIDE = 10  # pixels of a small version
_CUTS = ((0.0, 1.0), (0.0, 0.9), (0.05, 0.95), (0.1, 1.0), (0.1, 0.9))  # start, end of parts per axis
_BLANK = 4.0  # standard deviation of grey levels below which an image is blank
_MIN_FOR_LISTS = 20_000  # images from which on inverted lists are used
_LISTS_SCANNED = 4  # lists scanned for each part
_CHUNK = 256
_Box = tuple[float, float, float, float]
_PARTS: list[_Box] = [
    (x0 * _SIDE, y0 * _SIDE, x1 * _SIDE, y1 * _SIDE) for x0, x1 in _CUTS for y0, y1 in _CUTS
]


class ImageParts(NamedTuple):
    """An image and small versions of its P parts.

    Attributes:
        grey: (S, S) uint8.
        parts: (P, 100) unit vectors; the first is the whole image.
    """

    grey: np.ndarray
    parts: np.ndarray


def similar_images(
    refs: Sequence[ImageRef | None], progress: Progress = SILENT
) -> tuple[np.ndarray, np.ndarray]:
    """Find near-duplicate images.

    Args:
        refs: n images. None, unreadable and blank images, and an image that more than 60 share match nothing.
        progress: Progress reporting.

    Returns:
        Pairs (E, 2) of positions, the lower first, and their correlation (E,), at least .9.
    """
    identical: dict[bytes, list[int]] = {}  # positions of each distinct image
    distinct: list[ImageParts] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress("looking at images", len(refs)) as advance:
        for start in range(0, len(refs), _CHUNK):
            batch = refs[start : start + _CHUNK]
            for i, grey in enumerate(pool.map(_read_grey, batch), start):
                if grey is not None:
                    rows = identical.setdefault(grey.tobytes(), [])
                    rows.append(i)
                    if len(rows) == 1:
                        distinct.append(ImageParts(grey, _parts(grey)))
            advance(len(batch))
    owners = list(identical.values())
    best: dict[tuple[int, int], float] = {}
    with progress("comparing images", len(distinct)) as advance:
        for a, b, part in _candidates(distinct, advance):
            if best.get(pair := (min(a, b), max(a, b)), 0.0) < MIN_CORRELATION:
                best[pair] = max(
                    best.get(pair, 0.0),
                    _aligned_correlation(distinct[a].grey, distinct[b].grey, _PARTS[part]),
                )
    best |= {(i, i): 1.0 for i in range(len(distinct))}
    matches = sorted(
        (min(a, b), max(a, b), score)
        for (first, second), score in best.items()
        if score >= MIN_CORRELATION and max(len(owners[first]), len(owners[second])) <= _MAX_IDENTICAL
        for a, b in _between(owners[first], owners[second])
    )
    return np.array([pair for *pair, _ in matches], np.int64).reshape(-1, 2), np.array(
        [k[2] for k in matches]
    )


def _between(rows: list[int], others: list[int]) -> Iterator[tuple[int, int]]:
    if rows is others:
        yield from combinations(rows, 2)
    else:
        yield from ((a, b) for a in rows for b in others)


def _read_grey(ref: ImageRef | None) -> np.ndarray | None:
    """(S, S) uint8, grey; None for an unreadable or blank image."""
    if ref is None:
        return None
    try:
        image = decode(ref, _SIDE).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except ImageError:
        return None
    grey = np.asarray(image)
    return None if grey.std() < _BLANK else grey


def _parts(grey: np.ndarray) -> np.ndarray:
    """(P, 100) unit vectors of the small versions of all parts."""
    cuts = np.concatenate([_averaging_matrix(a * _SIDE, b * _SIDE, _THUMBNAIL_SIDE) for a, b in _CUTS])
    thumbnails = (cuts @ grey.astype(np.float32) @ cuts.T).reshape(
        len(_CUTS), _THUMBNAIL_SIDE, len(_CUTS), _THUMBNAIL_SIDE
    )
    return np.stack([_standard(thumbnails[y, :, x]) for x in range(len(_CUTS)) for y in range(len(_CUTS))])


def _candidates(images: Sequence[ImageParts], advance: Advance) -> Iterator[tuple[int, int, int]]:
    """Triples (a, b, part): image a resembles that part of image b."""
    if len(images) < 2:
        return
    thumbnails = np.stack([image.parts[0] for image in images])
    lists, order = arrange(thumbnails) if len(images) >= _MIN_FOR_LISTS else (None, np.arange(len(images)))
    thumbnails = thumbnails[order]
    for b, image in enumerate(images):
        rows = _scanned_rows(lists, image.parts) if lists is not None else slice(None)
        similarity = image.parts @ thumbnails[rows].T  # (P, n)
        best, part = similarity.max(0), similarity.argmax(0)
        similar = np.flatnonzero(best >= _MIN_CANDIDATE)
        similar = similar[np.argsort(-best[similar])][: _MAX_CANDIDATES + 1]
        for i in similar:
            a = int(order[rows][i])
            if a != b:
                yield a, b, int(part[i])
        advance(1)


def _scanned_rows(lists: InvertedLists, parts: np.ndarray) -> np.ndarray:
    nearest = {int(c) for part in parts for c in lists.nearest(part, _LISTS_SCANNED)}
    bounds = list(pairwise(lists.starts.tolist()))
    return np.concatenate([np.arange(*bounds[c]) for c in sorted(nearest)])


def _aligned_correlation(grey: np.ndarray, other: np.ndarray, box: _Box) -> float:
    """Correlation of an image with the best-fitting part of another; 0 if their gradients differ.

    Args:
        grey: (S, S) the image.
        other: (S, S) the other image.
        box: Part of the other image to start from; each edge is moved in turn.
    """
    to_compared = _averaging_matrix(0.0, float(_SIDE), _COMPARED_SIDE)
    resized = to_compared @ grey.astype(np.float32) @ to_compared.T
    target = _standard(resized)
    other_pixels = other.astype(np.float32)

    def cut(edges: _Box) -> np.ndarray:
        x0, y0, x1, y1 = edges
        return (
            _averaging_matrix(y0, y1, _COMPARED_SIDE)
            @ other_pixels
            @ _averaging_matrix(x0, x1, _COMPARED_SIDE).T
        )

    def fit(edges: _Box) -> float:
        return float(target @ _standard(cut(edges)))

    best, score = box, fit(box)
    for step, min_score in _MIN_AFTER_STEP.items():
        for _ in range(3):
            before = score
            for edge in range(4):
                for move in (-step, step):
                    edges_ = [*best]
                    edges_[edge] = min(max(edges_[edge] + move, 0.0), float(_SIDE))
                    tried = (edges_[0], edges_[1], edges_[2], edges_[3])
                    if (fitted := fit(tried)) > score:
                        best, score = tried, fitted
            if score == before:
                break
        if score < min_score:
            break
    return (
        score
        if score < MIN_CORRELATION or _gradient_correlation(resized, cut(best)) >= _MIN_GRADIENT_CORRELATION
        else 0.0
    )


def _gradient_correlation(image: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the gradients of two images, averaged over windows, so that no single edge dominates.

    Args:
        image: (S, S) an image.
        other: (S, S) the other image.

    Returns:
        Mean over the windows in which either has gradients; 0 if there are none.
    """
    gradients = [
        np.stack([np.gradient(pixels.astype(np.float64), axis=axis) for axis in (0, 1)])  # (2, S, S)
        for pixels in (image, other)
    ]
    steep = [(g * g).sum(0) for g in gradients]
    textured = np.maximum(*(_sums(s) for s in steep)) > _FLAT * _WINDOW**2
    first, second = (g / np.sqrt(s + _EDGE**2) for g, s in zip(gradients, steep, strict=True))
    cross, first_norm, second_norm = (
        _sums((x * y).sum(0)) for x, y in ((first, second), (first, first), (second, second))
    )
    return (
        float((cross / np.sqrt(np.maximum(first_norm * second_norm, 1e-9)))[textured].mean())
        if textured.any()
        else 0.0
    )


def _sums(values: np.ndarray) -> np.ndarray:
    """Sums over all windows of an image."""
    total = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return (
        total[_WINDOW:, _WINDOW:]
        - total[:-_WINDOW, _WINDOW:]
        - total[_WINDOW:, :-_WINDOW]
        + total[:-_WINDOW, :-_WINDOW]
    )


@lru_cache(4096)
def _averaging_matrix(start: float, end: float, size: int) -> np.ndarray:
    """(size, S) matrix that averages the pixels of a line from `start` to `end` into `size` equal bins."""
    edges = np.linspace(start, end, size + 1)[:, None]
    within = np.clip(edges - np.arange(_SIDE), 0, 1)  # share of each pixel before each edge
    weights = np.diff(within, axis=0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _standard(values: np.ndarray) -> np.ndarray:
    """Values as a vector of mean 0 and length 1."""
    flat = values.ravel() - values.mean()
    return flat / max(float(np.linalg.norm(flat)), 1e-6)
