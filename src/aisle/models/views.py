"""What a model reads of a product: named views, each one modality of it. No torch here."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from aisle.data import Product

Modality = Literal["text", "image", "vector"]


class View(NamedTuple):
    """`title` read as text, `image` as pictures, a vector file as vectors.

    fields: for text, the product's fields, joined in this order (`*`: every field no other view
    names, as `name value`); for vectors, the vector's name. An image view takes the product's
    images, at most `images` of them.
    """

    name: str
    modality: Modality
    fields: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    images: int = 1

    def value(self, product: Product) -> Any:
        """The text, the tuple of pictures or the vector; None when the product lacks this view."""
        if self.modality == "image":
            return product.images[: self.images] or None
        if self.modality == "vector":
            return product.vectors.get(self.fields[0])
        return self._text(product) or None

    def values(self, products: Iterable[Product]) -> list[Any]:
        """One value a product."""
        return [self.value(product) for product in products]

    def _text(self, product: Product) -> str:
        if self.fields != ("*",):
            text = "\n".join(product.fields[f] for f in self.fields if product.fields.get(f))
        else:
            rest = sorted(name for name in product.fields if name not in self.others)
            text = "\n".join(f"{name} {product.fields[name]}" for name in rest)
        # Half a surrogate pair, as broken JSON brings, is no character: tokenizers refuse it.
        return text.encode("utf-8", "replace").decode()
