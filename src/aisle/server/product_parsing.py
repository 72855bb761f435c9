"""Parses the products of a request one by one, so that a bad one does not fail the others."""

import base64
import binascii
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

from PIL import Image
from pydantic import ValidationError

from aisle.data import ImageRef, Product
from aisle.data.fetch import FetchError
from aisle.data.images import FORMATS, ImageError, decode
from aisle.data.suppress_output import warnings_off
from aisle.server.errors import ItemError
from aisle.server.image_fetching import ImageFetcher, RequestFetcher
from aisle.server.schemas.common import ImageIn, ProductIn
from aisle.server.settings import ImageFetchSettings, RequestLimits
from aisle.server.suggestion_tokens import content_hash

_DATA_URL = re.compile(r"^data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)
_CHECK_SIDE = 64  # pixels at which an image is decoded to see whether it can be: cheap for JPEG
_BAD = re.compile("[\x00\ud800-\udfff]")  # no database and no UTF-8 holds them


def clean(text: str) -> str:
    """Replace characters that cannot be stored or sent: NUL and unpaired surrogates."""
    if text.isascii() and "\0" not in text:  # megabytes of base64 among them
        return text
    return _BAD.sub("\ufffd", text)


def clean_json(value: Any) -> Any:
    """Apply `clean` to every string of a JSON value."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_json(item) for item in value]
    if isinstance(value, dict):
        return {clean(name): clean_json(item) for name, item in value.items()}
    return value


@dataclass(frozen=True)
class MissingImage:
    """An image of a request that could not be read: its number, from 1, its URL, if it had one, and why."""

    image: int
    url: str | None
    reason: str

    def __str__(self) -> str:
        return f"image {self.image}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the API and of the store."""
        return {"image": self.image, "url": self.url, "reason": self.reason}


class ParsedProduct(NamedTuple):
    """A product of a request, and its images that could not be read."""

    product: Product
    missing: tuple[MissingImage, ...] = ()


@dataclass(frozen=True)
class ParsedItem:
    """One item of a request: a product, or an error.

    Attributes:
        id: The client's id, or else the item's position.
        has_id: Whether the client gave an id.
        product: None if there is an error.
        missing: Images that could not be read.
        error: Why the item cannot be classified.
        priority: As the client gave it.
        label: The category that the client says it has now; empty for none.
        note: For reviewers.
        image_keys: What `suggestion_token` identifies the images by.
    """

    id: str
    has_id: bool = False
    product: Product | None = None
    missing: tuple[MissingImage, ...] = ()
    error: ItemError | None = None
    priority: float | None = None
    label: str = ""
    note: str = ""
    image_keys: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """One line for each image that could not be read."""
        return [str(missing) for missing in self.missing]


class ProductParser:
    """Parses products within the server's limits."""

    def __init__(self, limits: RequestLimits, settings: ImageFetchSettings) -> None:
        self.limits = limits
        self._fetcher = ImageFetcher(limits, settings) if settings.enabled else None

    def read(self, raw: list[Any], files: Mapping[str, bytes]) -> list[ParsedItem]:
        """One item for each product, in order.

        Args:
            raw: The products as JSON values.
            files: The files of a multipart request by name.

        Raises:
            BusyError: Too many requests are fetching images.
        """
        parsed = [_parse(value) for value in raw]
        with self._fetching([product for product in parsed if isinstance(product, ProductIn)]) as fetcher:
            return [
                self._item(number, value, product, files, fetcher)
                for number, (value, product) in enumerate(zip(raw, parsed, strict=True), 1)
            ]

    def product(self, sent: ProductIn) -> ParsedProduct:
        """The product of a request about a single one.

        Raises:
            ItemError: An image is not given as allowed.
            BusyError: Too many requests are fetching images.
        """
        with self._fetching([sent]) as fetcher:
            return self._product(sent, {}, clean(sent.id or ""), fetcher)

    def _fetching(self, sent: Sequence[ProductIn]) -> AbstractContextManager[RequestFetcher | None]:
        allowed = [product.images for product in sent if len(product.images) <= self.limits.max_images]
        urls = dict.fromkeys(image.url for images in allowed for image in images if image.url is not None)
        return self._fetcher.fetching(urls) if self._fetcher and urls else nullcontext()

    def _item(
        self,
        number: int,
        value: Any,
        sent: ProductIn | ItemError,
        files: Mapping[str, bytes],
        fetcher: RequestFetcher | None,
    ) -> ParsedItem:
        product_id = value.get("id") if isinstance(value, dict) else None
        has_id = isinstance(product_id, str) and bool(product_id)
        name = clean(product_id[:200]) if isinstance(product_id, str) and product_id else str(number)
        try:
            if isinstance(sent, ItemError):
                raise sent
            product, missing = self._product(sent, files, name, fetcher)
        except ItemError as error:
            return ParsedItem(name, has_id, error=error)
        keys = tuple(image_keys(sent, product, files))
        label, note = (clean(text or "").strip() for text in (sent.label, sent.note))
        return ParsedItem(
            name, has_id, product, missing, None, sent.priority, label=label, note=note, image_keys=keys
        )

    def _product(
        self, sent: ProductIn, files: Mapping[str, bytes], name: str, fetcher: RequestFetcher | None
    ) -> ParsedProduct:
        if len(sent.images) > self.limits.max_images:
            raise ItemError("too_many_images", f"at most {self.limits.max_images} images a product")
        images: list[ImageRef] = []
        missing: list[MissingImage] = []
        for number, sent_image in enumerate(sent.images, 1):
            try:
                image = ImageRef(data=self._bytes(sent_image, files, fetcher))
                decode(image, _CHECK_SIDE)
                images.append(image)
            except (FetchError, ImageError) as error:
                url = None if sent_image.url is None else clean(sent_image.url)
                missing.append(MissingImage(number, url, clean(str(error))))
            except ItemError as error:
                raise ItemError(error.code, f"image {number}: {error}") from error
        own_fields = {"title": sent.title, "description": sent.description}
        fields = clean_texts(
            sent.fields | {name: text for name, text in own_fields.items() if text is not None}
        )
        return ParsedProduct(Product(name, fields, tuple(images)), tuple(missing))

    def _bytes(self, image: ImageIn, files: Mapping[str, bytes], fetcher: RequestFetcher | None) -> bytes:
        if sum(value is not None for value in (image.base64, image.url, image.file)) != 1:
            raise ItemError("bad_image", "give exactly one of base64, url and file")
        if image.url is not None:
            if fetcher is None:
                message = "this server does not fetch addresses; send the image itself (base64)"
                raise ItemError("urls_disabled", message)
            data = fetcher.get(image.url)
        elif image.file is not None:
            if image.file not in files:
                raise ItemError("no_such_part", f"the request has no file {image.file[:80]!r}")
            data = files[image.file]
        else:
            data = _decode_base64(image.base64 or "")
        self._check_size(data)
        return data

    def _check_size(self, data: bytes) -> None:
        """Bytes, and pixels by the header; whether it decodes is found where it is decoded."""
        if len(data) > self.limits.max_image_bytes:
            raise ItemError("image_too_large", f"larger than {self.limits.max_image_bytes:,} bytes")
        try:
            with warnings_off:
                Image.init()
                known = [name for name in FORMATS if name in Image.OPEN]
                with Image.open(io.BytesIO(data), formats=known) as image:
                    width, height = image.size
        except Exception:  # not an image: the prediction's problems will say so
            return
        if width * height > self.limits.max_image_pixels:
            raise ItemError("image_too_large", f"{width:,} × {height:,} pixels")


def image_keys(sent: ProductIn, product: Product, files: Mapping[str, bytes] | None = None) -> list[str]:
    """Keys of a product's images: the URL, since its content may change, or a hash of the bytes."""
    if all(image.url is None for image in sent.images):
        return [content_hash(image.read()) for image in product.images]
    keys = []
    for image in sent.images:
        has_file = image.file is not None
        data = (files or {}).get(image.file or "", b"") if has_file else _decode_base64(image.base64 or "")
        keys.append(image.url or content_hash(data))
    return keys


def clean_texts(fields: Mapping[str, str | None]) -> dict[str, str]:
    """Cleaned names and texts, without blank texts."""
    return {clean(name): clean(text) for name, text in fields.items() if text and text.strip()}


def _parse(value: Any) -> ProductIn | ItemError:
    if not isinstance(value, dict):
        return ItemError("bad_product", 'a product is an object, such as {"title": "wall clock"}')
    try:
        return ProductIn.model_validate(clean_json(value))
    except ValidationError as error:
        return ItemError("bad_product", _first_error(error))


def _decode_base64(text: str) -> bytes:
    """With or without `data:…;base64,` before it and line breaks in it."""
    try:
        body = _DATA_URL.sub("", text[:200]) + text[200:]
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ItemError("bad_image", "this is not base64") from error


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return clean(f"{where}: {first['msg']}{more}" if where else f"{first['msg']}{more}")[:300]
