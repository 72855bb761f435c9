"""Small pictures for a page: re-encoded, so that nothing of the original file but its pixels gets in."""

import base64
import io
import warnings

from PIL import Image, ImageOps

from aisle.catalog import Product
from aisle.evaluation.result import Picture

SIDE = 240  # pixels: sharp at 120 px on a phone's dense screen
QUALITY = 72


def thumbnail(product: Product, side: int = SIDE) -> Picture:
    """The product's first picture as a JPEG data URI; a broken one is said to be broken, with the reason."""
    if not product.images:
        return Picture(state="none")
    try:
        data = product.images[0].read()
        return Picture(state="shown", src=_jpeg(data, side))
    except Exception as error:  # Pillow raises six kinds on broken files, OSError being only one
        return Picture(state="broken", reason=_reason(error))


def _jpeg(data: bytes, side: int) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning)
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (side, side))
            upright = ImageOps.exif_transpose(image)
            rgba = upright.convert("RGBA")
    rgba.thumbnail((side, side))
    flat = Image.new("RGB", rgba.size, "white")
    flat.paste(rgba, mask=rgba.getchannel("A"))
    out = io.BytesIO()
    flat.save(out, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "file not found"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "too many pixels"
    return "cannot be decoded"
