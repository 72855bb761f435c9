"""Pictures that show the same, cropped, re-encoded, resized or brightened.

A picture that is a crop of another looks as a part of it does. So each picture's parts are compared with all
whole pictures, small and blurred, and what comes near is laid over the other, the part's edges moved until it
fits best.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from aisle.catalog import ImageRef
from aisle.catalog.pictures import PictureError, decode
from aisle.progress import SILENT, Advance, Progress
from aisle.search.lists import Lists, arrange

ALIKE = 0.95  # correlation from which on two pictures show the same
_NEAR = 0.75  # correlation of small copies from which on pictures are laid over each other
_TRIED = 6  # pictures each is laid over at most
_SIDE = 96  # pixels of what is laid over
_OVER = (64, 64)  # of what is laid over
_SMALL = (10, 10)  # of what is compared with all pictures
_CUTS = ((0.0, 1.0), (0.0, 0.9), (0.05, 0.95), (0.1, 1.0), (0.1, 0.9))  # from where to where a part goes
_BLANK = 4.0  # grey levels of deviation below which there is nothing to compare
_LISTED = 20_000  # pictures from which on they are kept in lists
_PROBED = 4  # lists that a part looks into
_CHUNK = 256
_Box = tuple[float, float, float, float]
_PARTS: list[_Box] = [
    (x0 * _SIDE, y0 * _SIDE, x1 * _SIDE, y1 * _SIDE) for x0, x1 in _CUTS for y0, y1 in _CUTS
]


class Looked(NamedTuple):
    """One picture: grey (S, S) uint8, and its parts small and standardised (P, 100), the whole first."""

    grey: np.ndarray
    parts: np.ndarray


def alike_pictures(
    refs: Sequence[ImageRef | None], progress: Progress = SILENT
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of positions (E, 2), the lower first, whose pictures show the same, and their correlation (E,).
    None, and what cannot be read, is like nothing."""
    seen: list[Looked | None] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress("looking at pictures", len(refs)) as advance:
        for start in range(0, len(refs), _CHUNK):
            seen += pool.map(_look, refs[start : start + _CHUNK])
            advance(len(refs[start : start + _CHUNK]))
    here = [(i, one) for i, one in enumerate(seen) if one is not None]
    best: dict[tuple[int, int], float] = {}
    with progress("comparing pictures", len(here)) as advance:
        for a, b, part in _candidates([one for _, one in here], advance):
            (i, one), (j, other) = here[a], here[b]
            pair = (min(i, j), max(i, j))
            if best.get(pair, 0.0) < ALIKE:
                best[pair] = max(best.get(pair, 0.0), _overlaid(one.grey, other.grey, _PARTS[part]))
    kept = sorted((pair, score) for pair, score in best.items() if score >= ALIKE)
    pairs = np.array([pair for pair, _ in kept], np.int64).reshape(-1, 2)
    return pairs, np.array([score for _, score in kept])


def _look(ref: ImageRef | None) -> Looked | None:
    if ref is None:
        return None
    try:
        image = decode(ref, _SIDE).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except PictureError:
        return None
    grey = np.asarray(image)
    if grey.std() < _BLANK:
        return None
    return Looked(grey, np.stack([_standard(image, _SMALL, box) for box in _PARTS]))


def _candidates(seen: Sequence[Looked], advance: Advance) -> Iterator[tuple[int, int, int]]:
    """(a, b, part): the whole of picture a looks like that part of picture b."""
    if len(seen) < 2:
        return
    whole = np.stack([one.parts[0] for one in seen])
    lists, order = arrange(whole) if len(seen) >= _LISTED else (None, np.arange(len(seen)))
    whole = whole[order]
    for b, one in enumerate(seen):
        rows = _looked_into(lists, one.parts) if lists is not None else slice(None)
        likeness = one.parts @ whole[rows].T  # (P, n)
        best, part = likeness.max(0), likeness.argmax(0)
        near = np.flatnonzero(best >= _NEAR)
        near = near[np.argsort(-best[near])][: _TRIED + 1]
        for i in near:
            a = int(order[rows][i])
            if a != b:
                yield a, b, int(part[i])
        advance(1)


def _looked_into(lists: Lists, parts: np.ndarray) -> np.ndarray:
    nearest = {int(c) for part in parts for c in lists.nearest(part, _PROBED)}
    bounds = list(pairwise(lists.starts.tolist()))
    return np.concatenate([np.arange(*bounds[c]) for c in sorted(nearest)])


def _overlaid(grey: np.ndarray, other: np.ndarray, box: _Box) -> float:
    """The correlation of a picture with the part of another that it fits best: from a box, edge by edge."""
    image, size = Image.fromarray(other), _OVER
    mine = _standard(Image.fromarray(grey), size, (0, 0, _SIDE, _SIDE))

    def fit(edges: _Box) -> float:
        return float(mine @ _standard(image, size, edges))

    best, score = box, fit(box)
    for step in (4.0, 2.0, 1.0):
        for _ in range(3):
            before = score
            for edge in range(4):
                for move in (-step, step):
                    moved = [*best]
                    moved[edge] = min(max(moved[edge] + move, 0.0), float(_SIDE))
                    tried = (moved[0], moved[1], moved[2], moved[3])
                    if (found := fit(tried)) > score:
                        best, score = tried, found
            if score == before:
                break
    return score


def _standard(image: Image.Image, size: tuple[int, int], box: _Box) -> np.ndarray:
    """A part of a picture, small, as a vector of length 1 around zero."""
    flat = np.asarray(image.resize(size, Image.Resampling.BOX, box), np.float32).ravel()
    flat = flat - flat.mean()
    return flat / max(float(np.linalg.norm(flat)), 1e-6)
