"""A sample shop written by code: multilingual listings and images with the flaws of a real catalog."""

from aisle.data.demo.shop import Shop, make_shop

__all__ = ["Shop", "make_shop"]
