"""Thumbnails of products in evaluation pages."""

from aisle.data import Product
from aisle.data.images import ImageError, jpeg_data_uri, jpeg_thumbnail
from aisle.evaluation.shown_products import Thumbnail

SIDE = 240  # pixels: sharp at 120 px on a phone's dense screen
QUALITY = 72


def thumbnail(product: Product, side: int = SIDE) -> Thumbnail:
    """The product's first image as a JPEG data URI; of a broken image the reason.

    Args:
        product: The product.
        side: The most pixels of the width and of the height.
    """
    if not product.images:
        return Thumbnail(state="none")
    try:
        jpeg = jpeg_thumbnail(product.images[0], side, QUALITY)
    except ImageError as error:
        return Thumbnail(state="broken", reason=str(error))
    return Thumbnail(state="shown", src=jpeg_data_uri(jpeg))
