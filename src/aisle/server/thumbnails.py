"""Thumbnails as they are stored and shown, without EXIF metadata."""

import io
from collections.abc import Iterable

from PIL import Image

from aisle.data import ImageRef
from aisle.data.images import ImageError, decode
from aisle.server.suggestion_tokens import content_hash

_SIDE = 512  # pixels of the longer side


def thumbnails(refs: Iterable[ImageRef]) -> dict[str, bytes]:
    """JPEG thumbnails of the images that decode, by content hash, in order."""
    return {content_hash(data): data for data in map(thumbnail, refs) if data is not None}


def thumbnail(ref: ImageRef) -> bytes | None:
    """A JPEG thumbnail; None if the image does not decode."""
    try:
        image = decode(ref, _SIDE)
    except ImageError:
        return None
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
