"""Search: an index of products, queried by text, images, other products, or a combination."""

from aisle.search.index import Hit, Index, build, open, query

__all__ = ["Hit", "Index", "build", "open", "query"]
