"""Views: what a model reads of a product, one modality each. No torch here."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from aisle.data import Product

Modality = Literal["text", "image", "vector"]


class View(NamedTuple):
    """One view of a product.

    Attributes:
        name: its name in the recipe.
        modality: text, image or vector.
        fields: of a text view, the fields to join, in this order; `*` is every field that no view names, as
            `name value`. Of a vector view, the name of the vector.
        others: fields that views name, which `*` leaves out.
        images: of an image view, the most images read.
    """

    name: str
    modality: Modality
    fields: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    images: int = 1

    def value(self, product: Product) -> Any:
        """The text, the tuple of images or the vector; None where the view is missing."""
        if self.modality == "image":
            return product.images[: self.images] or None
        if self.modality == "vector":
            return product.vectors.get(self.fields[0])
        return self._text(product) or None

    def values(self, products: Iterable[Product]) -> list[Any]:
        """The value of each product."""
        return [self.value(product) for product in products]

    def _text(self, product: Product) -> str:
        if self.fields != ("*",):
            text = "\n".join(product.fields[f] for f in self.fields if product.fields.get(f))
        else:
            other = sorted(name for name in product.fields if name not in self.others)
            text = "\n".join(f"{name} {product.fields[name]}" for name in other)
        # Tokenizers refuse half a surrogate pair, which broken JSON may contain.
        return text.encode("utf-8", "replace").decode()
