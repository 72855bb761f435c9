"""Decodes images to RGB, or raises `ImageError`, in bounded memory and time.

On hostile and broken files, Pillow raises OSError, SyntaxError, TypeError, ValueError,
DecompressionBombError and more; this module raises `ImageError` instead.
"""

import base64
import errno
import io

import numpy as np
from PIL import Image, ImageOps

from aisle.data.paths import store_errors
from aisle.data.product import ImageRef
from aisle.data.suppress_output import stderr_off, warnings_off
from aisle.errors import CatalogError
from aisle.regular_files import open_regular

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000  # 150 MB decoded
# Not EPS, which starts Ghostscript, nor Pillow's rare and fragile formats.
FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "ICO", "ICNS", "PPM"),
    *("TGA", "PCX", "PSD", "SGI", "QOI"),
)
_WHITE = (255, 255, 255)

NOT_NOW = "cannot be read at the moment"  # in messages of `TemporaryImageError`
_PERMANENT_ERRORS = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EINVAL, errno.ENXIO, errno.ENODEV),
}


class ImageError(CatalogError):
    """An image that is missing, broken, too large, or in no known format."""


class TemporaryImageError(ImageError):
    """An image that could not be read for a temporary reason: memory or the disk failed.

    Results that depend on it are never cached.
    """


def is_temporary(problem: str) -> bool:
    """Whether a problem is the message of a `TemporaryImageError`."""
    return NOT_NOW in problem


def decode(ref: ImageRef, size: int | None = None) -> Image.Image:
    """Decode an image to RGB, upright, on white; of an animation the first frame.

    Args:
        ref: The image.
        size: The shorter side, in pixels, that is needed. A larger image may be returned smaller, but never
            below it: JPEG is decoded at reduced size, many times faster.

    Raises:
        ImageError: The image cannot be decoded; one line with the reason.
        TemporaryImageError: It could not be read for a temporary reason.
    """
    data = _read(ref)
    # Pillow's decoders raise any exception on broken files.
    try:
        with warnings_off:
            if data[:2] in (b"II", b"MM"):  # libtiff writes to standard error directly
                with stderr_off:
                    return _decode(data, size)
            return _decode(data, size)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("image is too large once decoded (a decompression bomb?)") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError("not an image of a known format") from error
    except (Exception, MemoryError) as error:
        if _is_temporary_error(error):
            raise _temporary_error(error) from error
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ImageError(f"image is broken: {reason}") from error


def jpeg_thumbnail(ref: ImageRef, side: int, quality: int = 75) -> bytes:
    """A JPEG of an image, without its metadata.

    Args:
        ref: The image.
        side: The most pixels of its width and of its height. A smaller image keeps its size.
        quality: JPEG quality, 1 to 95.

    Raises:
        ImageError: The image cannot be decoded.
    """
    image = decode(ref, side)
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def jpeg_data_uri(jpeg: bytes) -> str:
    """A `data:` URI that holds a JPEG."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _read(ref: ImageRef) -> bytes:
    try:
        if ref.data is None and ref.path is not None:
            with open_regular(ref.path) as file:
                data = file.read(MAX_BYTES + 1)
        else:
            data = ref.read()
    except (OSError, ValueError, MemoryError, *store_errors()) as error:
        if _is_temporary_error(error) or isinstance(error, store_errors()):
            raise _temporary_error(error) from error
        missing = isinstance(error, FileNotFoundError)
        reason = "is not there" if missing else f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ImageError(f"image {reason}") from error
    if len(data) > MAX_BYTES:
        raise ImageError(f"image file is larger than {MAX_BYTES // 2**20} MiB")
    if not data:
        raise ImageError("image file is empty")
    return data


def _is_temporary_error(error: Exception) -> bool:
    """Whether a retry may succeed: no memory, no free file handle, a failing disk or network."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno not in _PERMANENT_ERRORS
    return isinstance(error, MemoryError) or "out of memory" in str(
        error
    )  # Pillow's message for libjpeg and others


def _temporary_error(error: Exception) -> TemporaryImageError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return TemporaryImageError(f"image {NOT_NOW}: {' '.join(reason.split())[:120]}")


def _decode(data: bytes, size: int | None) -> Image.Image:
    Image.init()  # registers the formats, once
    image = Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
    if size is not None:
        image.draft("RGB", (size, size))
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"image is too large: {image.width:,} × {image.height:,} pixels")
    image.load()
    image = _upright(image)
    if size is not None and min(image.size) >= 2 * size and image.mode in ("L", "RGB", "RGBA", "CMYK"):
        image = image.reduce(min(image.size) // size)
    return _rgb(image)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF does not make the pixels invalid
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        background = Image.new("RGB", layer.size, _WHITE)
        background.paste(layer, mask=layer.getchannel("A"))
        return background
    return image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of 16-bit, 32-bit or float samples; Pillow's own conversion clips them to white."""
    values = np.nan_to_num(values.astype(np.float64))
    top = values.max(initial=0)
    if top > 255:
        values = values / (257 if top <= 65535 else top / 255)
    elif 0 < top <= 1 and values.dtype.kind == "f" and (values % 1).any():
        values = values * 255
    return np.clip(values, 0, 255).astype(np.uint8)
