"""Looking at every image once: which cannot be read, and what each looks like."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aisle.data.images import ImageError, decode, is_temporary
from aisle.data.perceptual_hash import perceptual_hash
from aisle.data.product import ImageRef
from aisle.progress import SILENT, Progress

if TYPE_CHECKING:
    from aisle.data.catalog import CatalogData

_CHUNK = 256


class Unreadable(NamedTuple):
    """An image that cannot be decoded: its record's number, column and name there, and why."""

    row: int
    column: str
    name: str
    why: str


class ImageScan(NamedTuple):
    """All images of a catalog, looked at.

    total: how many there are. rows: record numbers whose first image can be told apart, with
    `hashes` (K, 32) of it.
    """

    total: int
    unreadable: tuple[Unreadable, ...]
    rows: np.ndarray
    hashes: np.ndarray

    @property
    def complete(self) -> bool:
        """Whether all of it can be kept: nothing failed through no fault of a file."""
        return not any(is_temporary(one.why) for one in self.unreadable)


class ImageHashes(NamedTuple):
    """Record numbers (K,) whose first image can be told apart, and perceptual hashes (K, 32) of it."""

    rows: np.ndarray
    hashes: np.ndarray


def scan_images(base: "CatalogData", progress: Progress = SILENT) -> ImageScan:
    """Decode every image, on all cores; missing files are left out (reading told of them)."""
    if not base.images.named:
        return ImageScan(0, (), np.empty(0, np.int64), np.empty((0, 32), np.uint8))
    total, unreadable = 0, []
    rows: list[int] = []
    hashes: list[np.ndarray] = []
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress("looking at images", len(base.records)) as done,
    ):
        records = enumerate(base.records.rows(base.images.named), 1)
        while chunk := list(islice(records, _CHUNK)):
            refs = [
                (row, k, *found) for row, record in chunk for k, found in enumerate(base.images.found(record))
            ]
            for (row, place, column, ref), seen in zip(refs, pool.map(_look, refs), strict=True):
                if isinstance(seen, str) and seen.endswith("is not there"):
                    continue
                total += 1
                if isinstance(seen, str):
                    unreadable.append(Unreadable(row, column, _name(ref, base), seen))
                elif place == 0 and seen is not None:
                    rows.append(row)
                    hashes.append(seen)
            done(len(chunk))
    table = np.stack(hashes) if hashes else np.empty((0, 32), np.uint8)
    return ImageScan(total, tuple(unreadable), np.array(rows, np.int64), table)


def _look(item: tuple[int, int, str, ImageRef]) -> np.ndarray | str | None:
    """The hash of a first image (None: nearly blank, or a later image), or what is wrong."""
    _, place, _, ref = item
    try:
        image = decode(ref, 64)
    except ImageError as error:
        return str(error)
    return perceptual_hash(image) if place == 0 else None


def _name(ref: ImageRef, base: "CatalogData") -> str:
    if ref.path is None:
        return f"<{len(ref.data or b'')} bytes>"
    try:
        return str(ref.path.relative_to(base.images.root))
    except ValueError:
        return str(ref.path)


def hash_first_images(base: "CatalogData", progress: Progress = SILENT) -> ImageHashes:
    """What the first image of each record looks like, for which it is decoded, on all cores."""
    rows: list[int] = []
    hashes: list[np.ndarray] = []
    records = enumerate(base.records.rows(base.images.named), 1) if base.images.named else iter(())
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress("comparing images", len(base.records)) as done,
    ):
        while chunk := list(islice(records, _CHUNK)):
            found = [(row, 0, *images[0]) for row, r in chunk if (images := base.images.found(r))]
            for (row, *_), seen in zip(found, pool.map(_look, found), strict=True):
                if isinstance(seen, np.ndarray):
                    rows.append(row)
                    hashes.append(seen)
            done(len(chunk))
    table = np.stack(hashes) if hashes else np.empty((0, 32), np.uint8)
    return ImageHashes(np.array(rows, np.int64), table)
