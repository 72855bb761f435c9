"""Decodes every image once, to find unreadable ones and to compute perceptual hashes."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import numpy as np

from aisle.data.catalog_data import CatalogData
from aisle.data.images import ImageError, decode, is_temporary
from aisle.data.perceptual_hash import perceptual_hash
from aisle.data.product import ImageRef
from aisle.progress import SILENT, Progress

_CHUNK = 256


class Unreadable(NamedTuple):
    """An image that cannot be decoded, with the number of its record and the reason."""

    row: int
    column: str
    name: str
    reason: str


class ImageScan(NamedTuple):
    """The result of scanning all images of a catalog.

    Attributes:
        total: The number of images.
        unreadable: Images that cannot be decoded.
        rows: (K,) numbers of the records whose first image is not nearly blank.
        hashes: (K, 32) uint8 hashes of these images.
    """

    total: int
    unreadable: tuple[Unreadable, ...]
    rows: np.ndarray
    hashes: np.ndarray

    @property
    def complete(self) -> bool:
        """Whether the result may be cached: no image failed for a temporary reason."""
        return not any(is_temporary(image.reason) for image in self.unreadable)


class ImageHashes(NamedTuple):
    """Record numbers (K,) whose first image is not nearly blank, and its perceptual hashes (K, 32)."""

    rows: np.ndarray
    hashes: np.ndarray


def scan_images(data: CatalogData, progress: Progress = SILENT) -> ImageScan:
    """Decode every image on all cores; missing files are left out (`read` reports them)."""
    total, unreadable, hashes = 0, [], _Hashes()
    for row, position, column, ref, hash_or_error in _decode_all(data, False, progress):
        if isinstance(hash_or_error, str) and hash_or_error.endswith("is not there"):
            continue
        total += 1
        if isinstance(hash_or_error, str):
            unreadable.append(
                Unreadable(data.source_rows.number(row - 1), column, _name(ref, data), hash_or_error)
            )
        elif position == 0:
            hashes.add(row, hash_or_error)
    return ImageScan(total, tuple(unreadable), *hashes.arrays())


def hash_first_images(data: CatalogData, progress: Progress = SILENT) -> ImageHashes:
    """Decode and hash the first image of each record on all cores."""
    hashes = _Hashes()
    for row, _, _, _, hash_or_error in _decode_all(data, True, progress):
        if not isinstance(hash_or_error, str):
            hashes.add(row, hash_or_error)
    return ImageHashes(*hashes.arrays())


class _Hashes:
    """Collects record numbers and the hashes of their first images."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._hashes: list[np.ndarray] = []

    def add(self, row: int, hashed: np.ndarray | None) -> None:
        if hashed is not None:
            self._rows.append(row)
            self._hashes.append(hashed)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        hashes = np.stack(self._hashes) if self._hashes else np.empty((0, 32), np.uint8)
        return np.array(self._rows, np.int64), hashes


def _decode_all(
    data: CatalogData, first_only: bool, progress: Progress
) -> Iterator[tuple[int, int, str, ImageRef, np.ndarray | str | None]]:
    """(record number, position, column, image, hash or error) of each image."""
    if not data.images.source_columns:
        return
    records = enumerate(data.records.rows(data.images.source_columns), 1)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress("decoding images", len(data.records)) as done,
    ):
        while chunk := list(islice(records, _CHUNK)):
            refs = [
                (row, k, *found)
                for row, record in chunk
                for k, found in enumerate(data.images.refs_by_column(record)[: 1 if first_only else None])
            ]
            for ref, hash_or_error in zip(refs, pool.map(_hash, refs), strict=True):
                yield *ref, hash_or_error
            done(len(chunk))


def _hash(item: tuple[int, int, str, ImageRef]) -> np.ndarray | str | None:
    """The hash of a first image (None: nearly blank, or a later image), or the error message."""
    _, position, _, ref = item
    try:
        image = decode(ref, 64)
    except ImageError as error:
        return str(error)
    return perceptual_hash(image) if position == 0 else None


def _name(ref: ImageRef, data: CatalogData) -> str:
    if ref.path is None:
        return str(ref)
    try:
        return str(ref.path.relative_to(data.images.root))
    except ValueError:
        return str(ref.path)
