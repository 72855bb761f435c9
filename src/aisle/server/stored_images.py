"""Pictures as they are kept and shown: small, without what cameras write about people and places."""

import hashlib
import io
from collections.abc import Iterable

from PIL import Image

from aisle.data import ImageRef
from aisle.data.images import ImageError, decode

_SIDE = 512  # pixels of the longer side


def small_copies(refs: Iterable[ImageRef]) -> dict[str, bytes]:
    """Small JPEGs of those that decode, by a hash of their bytes, in order."""
    copies = (data for data in map(small, refs) if data is not None)
    return {hashlib.blake2b(data, digest_size=16).hexdigest(): data for data in copies}


def small(ref: ImageRef) -> bytes | None:
    """A small JPEG; None where it does not decode."""
    try:
        image = decode(ref, _SIDE)
    except ImageError:
        return None
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=88)
    return sink.getvalue()
