"""Small images for a page: re-encoded, so that nothing of the original file but its pixels gets in."""

import base64
import io

from aisle.data import Product
from aisle.data.images import ImageError, decode
from aisle.evaluation.result import Thumbnail

SIDE = 240  # pixels: sharp at 120 px on a phone's dense screen
QUALITY = 72


def thumbnail(product: Product, side: int = SIDE) -> Thumbnail:
    """The product's first picture as a JPEG data URI; a broken one is said to be broken, with the reason."""
    if not product.images:
        return Thumbnail(state="none")
    try:
        image = decode(product.images[0], side)
    except ImageError as error:
        return Thumbnail(state="broken", reason=str(error))
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return Thumbnail(
        state="shown", src="data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
    )
