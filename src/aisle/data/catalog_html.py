"""A catalog, and single products, in a notebook."""

from collections import Counter
from typing import TYPE_CHECKING

from markupsafe import Markup

from aisle.data.images import ImageError, jpeg_data_uri, jpeg_thumbnail
from aisle.data.product import Product
from aisle.repr_html import card, folded, image, lines, shortened, table
from aisle.taxonomy import format_path

if TYPE_CHECKING:
    from aisle.data.catalog import Catalog

_ROWS = 5  # shown
_KINDS = 5  # of problems shown
_SIDE = 80  # pixels of a thumbnail's longer side: sharp at 40 px on a dense screen
_QUALITY = 70


def thumbnail_html(product: Product) -> Markup:
    """A thumbnail of the first image of a product; empty if it is missing or broken."""
    if not product.images:
        return Markup("")
    try:
        return image(jpeg_data_uri(jpeg_thumbnail(product.images[0], _SIDE, _QUALITY)))
    except ImageError as error:
        return Markup('<span title="{}">✗</span>').format(str(error))


def catalog_html(catalog: "Catalog") -> str:
    """The number of products, the column roles, the first rows, and the most frequent problems."""
    products = catalog[:_ROWS]
    rows = [
        (
            thumbnail_html(product),
            product.id,
            shortened(title_of(product)),
            " | ".join(map(format_path, product.categories)),
        )
        for product in products
    ]
    problems = Counter(problem.message for problem in catalog.problems)
    found = len(catalog.problems)
    title = f"Catalog: {len(catalog):,} products, {found:,} problem{'s' * (found != 1)}"
    return card(
        title,
        table(("", "id", "title", "category"), rows),
        folded("columns", table((), catalog.columns.describe())),
        lines(f"{count:,} × {shortened(message, 160)}" for message, count in problems.most_common(_KINDS)),
    )


def title_of(product: Product) -> str:
    """The title of a product, or the first of its fields."""
    return product.fields.get("title") or next(iter(product.fields.values()), "")
