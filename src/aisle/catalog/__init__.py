"""Rows in: products, readers, problems, safe image decoding, duplicate keys, splits, the demo shop."""

from aisle.catalog.product import ImageRef, Problem, Product

__all__ = ["ImageRef", "Problem", "Product"]
