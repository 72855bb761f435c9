"""Rows in: products, readers, problems, safe image decoding, duplicate keys, splits, the demo shop."""

from aisle.data.benchmark_datasets.kakao import kakao
from aisle.data.benchmark_datasets.rakuten import rakuten
from aisle.data.catalog import Catalog
from aisle.data.columns import Columns
from aisle.data.files import SourceFile
from aisle.data.problems import Problems
from aisle.data.product import ImageRef, Problem, Product
from aisle.data.reading import read

__all__ = [
    "Catalog",
    "Columns",
    "ImageRef",
    "Problem",
    "Problems",
    "Product",
    "SourceFile",
    "kakao",
    "rakuten",
    "read",
]
