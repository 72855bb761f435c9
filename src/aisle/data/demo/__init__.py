"""A sample shop drawn and written by code: small, many-tongued, and as untidy as a real one."""

from aisle.data.demo.shop import Shop, make_shop

__all__ = ["Shop", "make_shop"]
