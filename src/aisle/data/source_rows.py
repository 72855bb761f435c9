"""Which rows of a source each product comes from."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class SourceRows:
    """The rows of a source, or of a part of it, and the product of each.

    A product has the number of its first row. Without `product` and `lead`, each row is a product.

    Attributes:
        first: The number of the first row, from 1.
        product: (m,) int64 position of each row's product.
        lead: (n,) int64 number of the first row of each product, ascending.
        main: (n,) int64 number of the row that describes each product: its parent's row, else its first.
    """

    first: int = 1
    product: np.ndarray | None = None
    lead: np.ndarray | None = None
    main: np.ndarray | None = None

    def number(self, position: int) -> int:
        """The number of a product's first row."""
        return position + self.first if self.lead is None else int(self.lead[position])

    def numbers(self, positions: np.ndarray) -> np.ndarray:
        """The numbers of the products' first rows."""
        return positions + self.first if self.lead is None else self.lead[positions]

    def main_numbers(self, positions: np.ndarray) -> np.ndarray:
        """The numbers of the rows that describe the products."""
        return self.numbers(positions) if self.main is None else self.main[positions]

    def positions(self, numbers: np.ndarray) -> np.ndarray:
        """The positions of products with these numbers; -1 for a row that is no product's first."""
        if self.lead is None:
            return np.where(numbers >= self.first, numbers - self.first, -1)
        if not len(self.lead):
            return np.full(len(numbers), -1)
        indices = np.minimum(np.searchsorted(self.lead, numbers), len(self.lead) - 1)
        return np.where(self.lead[indices] == numbers, indices, -1)

    def product_of_rows(self, products: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """(m,) int64 position of each row's product, of `products` in all or among the `chosen` ones."""
        product = np.arange(products) if self.product is None else self.product
        if chosen is None:
            return product
        product_of = np.full(products + 1, -1)
        product_of[chosen] = np.arange(len(chosen))
        return product_of[product]

    def part(self, start: int, stop: int) -> "SourceRows":
        """The rows of products `start` to `stop`, and rows of others between them, which have product -1."""
        if self.lead is None or self.product is None:
            return SourceRows(self.first + start)
        lead = self.lead[start:stop]
        last = int(self.lead[stop]) - 1 if stop < len(self.lead) else self.first + len(self.product) - 1
        first = int(lead[0]) if len(lead) else self.first
        product = self.product[first - self.first : last + 1 - self.first] - start
        product_of = np.where((product >= 0) & (product < stop - start), product, -1)
        return SourceRows(first, product_of, lead, None if self.main is None else self.main[start:stop])

    def last(self, products: int) -> int:
        """The number of the last row, of `products` in all."""
        return self.first + (products if self.product is None else len(self.product)) - 1
