"""Products of an uploaded file, with the problems of their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aisle.data import Catalog, Problem, Product
from aisle.guarantee import Prediction
from aisle.inference.batches import ProductRows

_FAILED = "the model failed on this product; the server's log says why"


@dataclass(frozen=True)
class RowProduct(Product):
    """A product of a file; `row_problems`: the problems of its row; `fatal`: it cannot be decided."""

    row_problems: tuple[Problem, ...] = ()
    fatal: bool = False
    source: str = ""

    def failed(self) -> "RowProduct":
        """The same product without the views that the model failed on."""
        problem = Problem(None, None, _FAILED, fatal=True)
        empty = replace(self, fields={}, images=(), vectors={})
        return replace(empty, row_problems=(*self.row_problems, problem), fatal=True)

    def with_images(self, images: Sequence[Any], problems: Sequence[Problem]) -> "RowProduct":
        """The same product with further images, and problems of those that could not be fetched."""
        return replace(self, images=(*self.images, *images), row_problems=(*self.row_problems, *problems))


def row_products(catalog: Catalog, rows: Sequence[int], source: str) -> list[RowProduct]:
    """Some products of a file, with those images that the file itself holds.

    Args:
        catalog: The products.
        rows: Positions in the catalog.
        source: The name of the file, which rules may name.
    """
    return [
        RowProduct(
            *(one.id, one.fields, tuple(image for image in one.images if image.data is not None)),
            vectors=one.vectors,
            row_problems=catalog.problems_of(row),
            fatal=bool(catalog.fatal[row]),
            source=source,
        )
        for row, one in ((row, catalog[row]) for row in rows)
    ]


def predict_rows(predictor: Any, products: Sequence[Product]) -> list[Prediction]:
    """Predictions of products of files.

    Args:
        predictor: The model.
        products: B `RowProduct`s.
    """
    rows = [product for product in products if isinstance(product, RowProduct)]
    fatal = np.array([product.fatal for product in rows], bool)
    problems = [product.row_problems for product in rows]
    return list(
        predictor.predict_stream(
            ProductRows(list(rows), problems, fatal, [product.source for product in rows])
        )
    )
