"""Image decoding: RGB or an `ImageError`, in bounded memory and time.

Hostile and broken files make Pillow raise OSError, SyntaxError, TypeError, ValueError,
DecompressionBombError and more; none of them leaves this module.
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
# Images and nothing else: EPS would start Ghostscript, the others that Pillow reads are rare and fragile.
FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "ICO", "ICNS", "PPM"),
    *("TGA", "PCX", "PSD", "SGI", "QOI"),
)
_WHITE = (255, 255, 255)


NOT_NOW = "cannot be read at the moment"  # in the message where the file is not at fault
_FILES_FAULT = {
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
    """Whether a problem is a `TemporaryImageError`'s."""
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
    # Pillow's decoders raise nearly anything on broken files, so everything is caught here, once.
    try:
        with warnings_off:
            if data[:2] in (b"II", b"MM"):  # libtiff complains to the terminal, past Python
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
        if _is_machines_fault(error):
            raise _not_now(error) from error
        why = " ".join(str(error).split())[:120] or type(error).__name__
        raise ImageError(f"image is broken: {why}") from error


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
        if _is_machines_fault(error) or isinstance(error, store_errors()):
            raise _not_now(error) from error
        missing = isinstance(error, FileNotFoundError)
        why = "is not there" if missing else f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ImageError(f"image {why}") from error
    if len(data) > MAX_BYTES:
        raise ImageError(f"image file is larger than {MAX_BYTES // 2**20} MiB")
    if not data:
        raise ImageError("image file is empty")
    return data


def _is_machines_fault(error: Exception) -> bool:
    """Whether it may go well another time: no memory, no free file handle, a disk or a network that fails."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno not in _FILES_FAULT
    return isinstance(error, MemoryError) or "out of memory" in str(error)  # libjpeg's and others', by Pillow


def _not_now(error: Exception) -> TemporaryImageError:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return TemporaryImageError(f"image {NOT_NOW}: {' '.join(why.split())[:120]}")


def _decode(data: bytes, size: int | None) -> Image.Image:
    Image.init()  # registers the formats; does nothing the second time
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
    except Exception:  # broken EXIF says nothing about the pixels
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGB", layer.size, _WHITE)
        ground.paste(layer, mask=layer.getchannel("A"))
        return ground
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
