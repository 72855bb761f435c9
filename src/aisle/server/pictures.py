"""Pictures as they are kept and shown: small, without what cameras write about people and places."""

import io

from PIL import Image

from aisle.catalog import ImageRef
from aisle.catalog.pictures import PictureError, decode

_SIDE = 512  # pixels of the longer side


def small(ref: ImageRef) -> bytes | None:
    """A small JPEG; None where it does not decode."""
    try:
        image = decode(ref, _SIDE)
    except PictureError:
        return None
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=88)
    return sink.getvalue()
