"""From what a caller sent to `Product`s: every item alone, so that a bad one spoils nothing."""

import base64
import binascii
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

from PIL import Image
from pydantic import ValidationError

from aisle.data import ImageRef, Product
from aisle.data.fetch import FetchError
from aisle.data.images import FORMATS, ImageError, decode
from aisle.data.suppress_output import warnings_off
from aisle.server.fetching import Fetches, Fetching
from aisle.server.problems import ItemError
from aisle.server.schemas import PictureIn, ProductIn
from aisle.server.settings import Limits, Urls
from aisle.server.tokens import content_hash

_DATA_URL = re.compile(r"^data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)
_CHECKED_SIDE = 64  # pixels to which an image is decoded to see whether it can be: cheap for JPEG
_BAD = re.compile("[\x00\ud800-\udfff]")  # no database and no UTF-8 holds them


def clean(text: str) -> str:
    """Without what cannot be stored or sent: NUL, and half surrogate pairs."""
    if text.isascii() and "\0" not in text:  # megabytes of base64 among them
        return text
    return _BAD.sub("\ufffd", text)


def cleaned(value: Any) -> Any:
    """The same of every text in some JSON."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [cleaned(one) for one in value]
    if isinstance(value, dict):
        return {clean(name): cleaned(one) for name, one in value.items()}
    return value


@dataclass(frozen=True)
class MissingImage:
    """An image that was given and could not be read: its number from 1, its address (where it was given by
    one), and why."""

    image: int
    url: str | None
    reason: str

    def __str__(self) -> str:
        return f"picture {self.image}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """As answers and the store hold it."""
        return {"image": self.image, "url": self.url, "reason": self.reason}


class Received(NamedTuple):
    """A product that a caller sent, and the images of it that could not be read."""

    product: Product
    missing: tuple[MissingImage, ...] = ()


@dataclass(frozen=True)
class Item:
    """A product ready to be answered, and the images of it that could not be read; or an `error`.
    named: its id is the caller's own, not its position. pictures: what tokens know its images by."""

    id: str
    named: bool = False
    product: Product | None = None
    missing: tuple[MissingImage, ...] = ()
    error: ItemError | None = None
    worth: float | None = None
    pictures: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What could not be had of the product, a line each."""
        return [str(one) for one in self.missing]


class Items:
    """Makes products of what callers send, within limits."""

    def __init__(self, limits: Limits, urls: Urls) -> None:
        self.limits = limits
        self._fetching = Fetching(limits, urls) if urls.enabled else None

    def read(self, raw: list[Any], files: Mapping[str, bytes]) -> list[Item]:
        """One item each, in order. files: parts of a multipart request, by name.

        Raises:
            BusyError: too many requests are having pictures fetched.
        """
        parsed = [_parsed(value) for value in raw]
        with self._fetches([one for one in parsed if isinstance(one, ProductIn)]) as fetches:
            return [
                self._item(number, value, one, files, fetches)
                for number, (value, one) in enumerate(zip(raw, parsed, strict=True), 1)
            ]

    def product(self, sent: ProductIn) -> Received:
        """The product of a request about a single one.

        Raises:
            ItemError: a picture that is none of the permitted kinds.
            BusyError: as `read`.
        """
        with self._fetches([sent]) as fetches:
            return self._product(sent, {}, clean(sent.id or ""), fetches)

    def _fetches(self, sent: Sequence[ProductIn]) -> AbstractContextManager[Fetches | None]:
        addresses = list(dict.fromkeys(self._addresses(sent)))
        return self._fetching.of(addresses) if self._fetching and addresses else nullcontext()

    def _addresses(self, sent: Sequence[ProductIn]) -> Iterator[str]:
        for product in sent:
            if len(product.images) <= self.limits.pictures:
                yield from (picture.url for picture in product.images if picture.url is not None)

    def _item(
        self,
        number: int,
        value: Any,
        sent: ProductIn | ItemError,
        files: Mapping[str, bytes],
        fetches: Fetches | None,
    ) -> Item:
        own = value.get("id") if isinstance(value, dict) else None
        named = isinstance(own, str) and bool(own)
        name = clean(own[:200]) if isinstance(own, str) and own else str(number)
        if isinstance(sent, ItemError):
            return Item(name, named, error=sent)
        try:
            product, missing = self._product(sent, files, name, fetches)
        except ItemError as error:
            return Item(name, named, error=error)
        pictures = tuple(pictures_of(sent, product, files))
        return Item(name, named, product, missing, worth=sent.worth, pictures=pictures)

    def _product(
        self, sent: ProductIn, files: Mapping[str, bytes], name: str, fetches: Fetches | None
    ) -> Received:
        if len(sent.images) > self.limits.pictures:
            raise ItemError("too_many_pictures", f"at most {self.limits.pictures} pictures a product")
        images: list[ImageRef] = []
        missing: list[MissingImage] = []
        for number, picture in enumerate(sent.images, 1):
            try:
                image = ImageRef(data=self._bytes(picture, files, fetches))
                decode(image, _CHECKED_SIDE)
                images.append(image)
            except (FetchError, ImageError) as error:
                address = None if picture.url is None else clean(picture.url)
                missing.append(MissingImage(number, address, clean(str(error))))
            except ItemError as error:
                raise ItemError(error.code, f"picture {number}: {error}") from error
        return Received(Product(name, texts(sent), tuple(images)), tuple(missing))

    def _bytes(self, picture: PictureIn, files: Mapping[str, bytes], fetches: Fetches | None) -> bytes:
        given = [value for value in (picture.base64, picture.url, picture.file) if value is not None]
        if len(given) != 1:
            raise ItemError("bad_picture", "give exactly one of base64, url and file")
        if picture.url is not None:
            if fetches is None:
                message = "this server does not fetch addresses; send the picture itself (base64)"
                raise ItemError("urls_disabled", message)
            data = fetches.get(picture.url)
        elif picture.file is not None:
            if picture.file not in files:
                raise ItemError("no_such_part", f"the request has no file {picture.file[:80]!r}")
            data = files[picture.file]
        else:
            data = decoded(picture.base64 or "")
        self._check(data)
        return data

    def _check(self, data: bytes) -> None:
        """Size in bytes and in pixels, as the header tells; whether it decodes is found where it is read."""
        if len(data) > self.limits.picture:
            raise ItemError("picture_too_large", f"larger than {self.limits.picture:,} bytes")
        try:
            with warnings_off:
                Image.init()
                known = [name for name in FORMATS if name in Image.OPEN]
                with Image.open(io.BytesIO(data), formats=known) as image:
                    width, height = image.size
        except Exception:  # not a picture: the answer's problems will say so
            return
        if width * height > self.limits.pixels:
            raise ItemError("picture_too_large", f"{width:,} × {height:,} pixels")


def pictures_of(sent: ProductIn, product: Product, files: Mapping[str, bytes] | None = None) -> list[str]:
    """What a product's pictures are known by: an address by itself, because what it leads to may change
    between two requests; bytes by their hash."""
    if all(one.url is None for one in sent.images):
        return [content_hash(image.read()) for image in product.images]
    named = []
    for one in sent.images:
        data = (files or {}).get(one.file, b"") if one.file is not None else decoded(one.base64 or "")
        named.append(one.url or content_hash(data))
    return named


def _parsed(value: Any) -> ProductIn | ItemError:
    if not isinstance(value, dict):
        return ItemError("bad_product", 'a product is an object, such as {"title": "wall clock"}')
    try:
        return ProductIn.model_validate(cleaned(value))
    except ValidationError as error:
        return ItemError("bad_product", first_fault(error))


def decoded(text: str) -> bytes:
    """The bytes of base64 text, with or without `data:…;base64,` before it; line breaks do not matter.

    Raises:
        ItemError: it is not base64.
    """
    try:
        body = _DATA_URL.sub("", text[:200]) + text[200:]
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ItemError("bad_picture", "this is not base64") from error


def texts(sent: ProductIn) -> dict[str, str]:
    """Its fields by name; what is blank has no key."""
    own = {"title": sent.title, "description": sent.description}
    given = sent.fields | {name: text for name, text in own.items() if text is not None}
    return {clean(name): clean(text) for name, text in given.items() if text and text.strip()}


def first_fault(error: ValidationError) -> str:
    """One line of what pydantic found: where, and what."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return clean(f"{where}: {fault['msg']}{more}" if where else f"{fault['msg']}{more}")[:300]
