"""Thumbnails as they are stored and shown, without EXIF metadata."""

from collections.abc import Iterable

from aisle.data import ImageRef
from aisle.data.images import ImageError, jpeg_thumbnail
from aisle.server.suggestion_tokens import content_hash

_SIDE = 512  # pixels of the longer side


def thumbnails(refs: Iterable[ImageRef]) -> dict[str, bytes]:
    """JPEG thumbnails of the images that decode, by content hash, in order."""
    return {content_hash(data): data for data in map(thumbnail, refs) if data is not None}


def thumbnail(ref: ImageRef) -> bytes | None:
    """A JPEG thumbnail; None if the image does not decode."""
    try:
        return jpeg_thumbnail(ref, _SIDE, quality=88)
    except ImageError:
        return None
