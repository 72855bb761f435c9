"""Rows in: products, readers, problems, safe image decoding, duplicate keys, splits, the demo shop."""

from aisle.catalog.catalog import Catalog, Part
from aisle.catalog.columns import Columns
from aisle.catalog.contests.kakao import kakao
from aisle.catalog.contests.rakuten import rakuten
from aisle.catalog.problems import Problems
from aisle.catalog.product import ImageRef, Problem, Product
from aisle.catalog.reading import read

__all__ = [
    "Catalog",
    "Columns",
    "ImageRef",
    "Part",
    "Problem",
    "Problems",
    "Product",
    "kakao",
    "rakuten",
    "read",
]
