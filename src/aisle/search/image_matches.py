"""Images that show the same, cropped, re-encoded, resized or brightened.

A image that is a crop of another looks as a part of it does. So each image's parts are compared with all
whole images, small and blurred, and what comes near is laid over the other, the part's edges moved until it
fits best. What fits must also show the same lines everywhere: a dark table, a black frame or a bright wall
behind other things makes most of a image's brightness, and hardly any of its lines.
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

ALIKE = 0.9  # correlation from which on two images may show the same
# Chosen on altered `train` listings and colour variants: of pairs above ALIKE, 98 % of the same have it, and
# few others.
_LINES = 0.75  # mean correlation, place by place, of how brightness changes
_EDGE = 8.0  # grey levels a pixel from which on a steeper change counts hardly more
_WINDOW = 16  # pixels of a place
_FLAT = 4.0  # mean squared change of grey levels a pixel below which a place has no lines
# Of 1,000 listings, 252 pairs end above .95: 99 % of them begin above these limits, 1 in 50 others passes.
_NEAR = 0.85  # of small copies, for images to be laid over each other
_FITS = {4.0: 0.77, 2.0: 0.87, 1.0: ALIKE}  # after their edges were moved in steps of so many pixels
_TRIED = 6  # images each is laid over at most
_CROWD = 60  # listings with the very same image: more show a shop's placeholder
_SIDE = 96  # pixels of what is laid over
_OVER = 64  # of what is laid over
_SMALL = 10  # of what is compared with all images
_CUTS = ((0.0, 1.0), (0.0, 0.9), (0.05, 0.95), (0.1, 1.0), (0.1, 0.9))  # from where to where a part goes
_BLANK = 4.0  # grey levels of deviation below which there is nothing to compare
_LISTED = 20_000  # images from which on they are kept in lists
_PROBED = 4  # lists that a part looks into
_CHUNK = 256
_Box = tuple[float, float, float, float]
_PARTS: list[_Box] = [
    (x0 * _SIDE, y0 * _SIDE, x1 * _SIDE, y1 * _SIDE) for x0, x1 in _CUTS for y0, y1 in _CUTS
]


class ImageParts(NamedTuple):
    """One image: grey (S, S) uint8, and its parts small and standardised (P, 100), the whole first."""

    grey: np.ndarray
    parts: np.ndarray


def similar_images(
    refs: Sequence[ImageRef | None], progress: Progress = SILENT
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of positions (E, 2), the lower first, whose images show the same, and their correlation (E,),
    from .9. None, what cannot be read, and a image that more than 60 have is like nothing."""
    shown: dict[bytes, list[int]] = {}  # the positions that show the very same
    seen: list[ImageParts] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress("looking at images", len(refs)) as advance:
        for start in range(0, len(refs), _CHUNK):
            some = refs[start : start + _CHUNK]
            for i, grey in enumerate(pool.map(_look, some), start):
                if grey is not None:
                    rows = shown.setdefault(grey.tobytes(), [])
                    rows.append(i)
                    if len(rows) == 1:
                        seen.append(ImageParts(grey, _parts(grey)))
            advance(len(some))
    owners = list(shown.values())
    best: dict[tuple[int, int], float] = {}
    with progress("comparing images", len(seen)) as advance:
        for a, b, part in _candidates(seen, advance):
            if best.get(pair := (min(a, b), max(a, b)), 0.0) < ALIKE:
                best[pair] = max(best.get(pair, 0.0), _overlaid(seen[a].grey, seen[b].grey, _PARTS[part]))
    best |= {(i, i): 1.0 for i in range(len(seen))}
    kept = sorted(
        (min(a, b), max(a, b), score)
        for (one, other), score in best.items()
        if score >= ALIKE and max(len(owners[one]), len(owners[other])) <= _CROWD
        for a, b in _between(owners[one], owners[other])
    )
    return np.array([pair for *pair, _ in kept], np.int64).reshape(-1, 2), np.array([k[2] for k in kept])


def _between(rows: list[int], others: list[int]) -> Iterator[tuple[int, int]]:
    if rows is others:
        yield from combinations(rows, 2)
    else:
        yield from ((a, b) for a in rows for b in others)


def _look(ref: ImageRef | None) -> np.ndarray | None:
    """(S, S) uint8, grey; None where there is nothing to compare."""
    if ref is None:
        return None
    try:
        image = decode(ref, _SIDE).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except ImageError:
        return None
    grey = np.asarray(image)
    return None if grey.std() < _BLANK else grey


def _parts(grey: np.ndarray) -> np.ndarray:
    """(P, 100) every part small and standardised: all rows of all cuts at once, then all columns."""
    cuts = np.concatenate([_shrinking(a * _SIDE, b * _SIDE, _SMALL) for a, b in _CUTS])
    small = (cuts @ grey.astype(np.float32) @ cuts.T).reshape(len(_CUTS), _SMALL, len(_CUTS), _SMALL)
    return np.stack([_standard(small[y, :, x]) for x in range(len(_CUTS)) for y in range(len(_CUTS))])


def _candidates(seen: Sequence[ImageParts], advance: Advance) -> Iterator[tuple[int, int, int]]:
    """(a, b, part): the whole of image a looks like that part of image b."""
    if len(seen) < 2:
        return
    whole = np.stack([one.parts[0] for one in seen])
    lists, order = arrange(whole) if len(seen) >= _LISTED else (None, np.arange(len(seen)))
    whole = whole[order]
    for b, one in enumerate(seen):
        rows = _looked_into(lists, one.parts) if lists is not None else slice(None)
        similarity = one.parts @ whole[rows].T  # (P, n)
        best, part = similarity.max(0), similarity.argmax(0)
        near = np.flatnonzero(best >= _NEAR)
        near = near[np.argsort(-best[near])][: _TRIED + 1]
        for i in near:
            a = int(order[rows][i])
            if a != b:
                yield a, b, int(part[i])
        advance(1)


def _looked_into(lists: InvertedLists, parts: np.ndarray) -> np.ndarray:
    nearest = {int(c) for part in parts for c in lists.nearest(part, _PROBED)}
    bounds = list(pairwise(lists.starts.tolist()))
    return np.concatenate([np.arange(*bounds[c]) for c in sorted(nearest)])


def _overlaid(grey: np.ndarray, other: np.ndarray, box: _Box) -> float:
    """The correlation of a image with the part of another that it fits best: from a box, edge by edge,
    given up where it does not come near; 0 where their lines differ."""
    whole = _shrinking(0.0, float(_SIDE), _OVER)
    shown = whole @ grey.astype(np.float32) @ whole.T
    mine = _standard(shown)
    theirs = other.astype(np.float32)

    def cut(edges: _Box) -> np.ndarray:
        x0, y0, x1, y1 = edges
        return _shrinking(y0, y1, _OVER) @ theirs @ _shrinking(x0, x1, _OVER).T

    def fit(edges: _Box) -> float:
        return float(mine @ _standard(cut(edges)))

    best, score = box, fit(box)
    for step, least in _FITS.items():
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
        if score < least:
            break
    return score if score < ALIKE or _lines(shown, cut(best)) >= _LINES else 0.0


def _lines(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two images' gradients, (S, S) each, in every window in which either has some,
    averaged; 0 where none has. Neither a bright place nor a sharp edge, as a frame's, counts for the rest."""
    gradients = [
        np.stack([np.gradient(image.astype(np.float64), axis=axis) for axis in (0, 1)])  # (2, S, S)
        for image in (one, other)
    ]
    steep = [(g * g).sum(0) for g in gradients]
    told = np.maximum(*(_sums(s) for s in steep)) > _FLAT * _WINDOW**2
    mine, theirs = (g / np.sqrt(s + _EDGE**2) for g, s in zip(gradients, steep, strict=True))
    both, own, their = (_sums((x * y).sum(0)) for x, y in ((mine, theirs), (mine, mine), (theirs, theirs)))
    return float((both / np.sqrt(np.maximum(own * their, 1e-9)))[told].mean()) if told.any() else 0.0


def _sums(values: np.ndarray) -> np.ndarray:
    """Over every window of a image."""
    total = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return (
        total[_WINDOW:, _WINDOW:]
        - total[:-_WINDOW, _WINDOW:]
        - total[_WINDOW:, :-_WINDOW]
        + total[:-_WINDOW, :-_WINDOW]
    )


@lru_cache(4096)
def _shrinking(start: float, end: float, size: int) -> np.ndarray:
    """(size, S) that averages a line's pixels from `start` to `end` into `size` equal pieces."""
    edges = np.linspace(start, end, size + 1)[:, None]
    within = np.clip(edges - np.arange(_SIDE), 0, 1)  # of each pixel, what lies before each edge
    pieces = np.diff(within, axis=0)
    return (pieces / pieces.sum(1, keepdims=True)).astype(np.float32)


def _standard(values: np.ndarray) -> np.ndarray:
    """As a vector of length 1 around zero."""
    flat = values.ravel() - values.mean()
    return flat / max(float(np.linalg.norm(flat)), 1e-6)
