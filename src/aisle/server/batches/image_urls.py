"""Fetches the images that an uploaded file names by URL, where the operator allows it (`--fetch-urls`)."""

import time
from collections.abc import Sequence
from typing import Any

from aisle.data import Catalog, Problem
from aisle.data.image_refs import is_url
from aisle.server.errors import BusyError
from aisle.server.product_parsing import ProductParser
from aisle.server.row_products import RowProduct

_AT_ONCE = 32  # products: a request's time and bytes are for so many
_TRIES, _WAIT_S = 20, 1.0  # while requests of people fetch


def fetch_images(
    parser: ProductParser, catalog: Catalog, rows: Sequence[int], products: Sequence[RowProduct], most: int
) -> list[RowProduct]:
    """The products with their images.

    Args:
        parser: Fetches and checks images as for a request.
        catalog: The file.
        rows: Positions of the B products.
        products: The B products.
        most: Images of a product that the model reads.
    """
    found: list[RowProduct] = []
    for start in range(0, len(rows), _AT_ONCE):
        part = products[start : start + _AT_ONCE]
        raw = [_sent(catalog, row, most) for row in rows[start : start + _AT_ONCE]]
        for product, item in zip(part, _read(parser, raw), strict=True):
            if item.product is None:
                found.append(product.with_images((), [Problem(None, "image", str(item.error))]))
                continue
            missing = [Problem(None, "image", one.reason, one.url or "") for one in item.missing]
            found.append(product.with_images(item.product.images, missing))
    return found


def _sent(catalog: Catalog, row: int, most: int) -> dict[str, Any]:
    names = (name for name in catalog.image_names(row) if isinstance(name, str) and is_url(name))
    urls = [f"https:{name}" if name.startswith("//") else name for name in names]
    return {"images": [{"url": url} for url in urls[:most]]}


def _read(parser: ProductParser, raw: list[Any]) -> Any:
    for _ in range(_TRIES):
        try:
            return parser.read(raw, {})
        except BusyError:
            time.sleep(_WAIT_S)
    return parser.read([{"images": []} for _ in raw], {})
