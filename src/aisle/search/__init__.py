"""Finding: an index over products, asked by words, pictures, other products, or several of these at once."""

from aisle.search.index import Hit, Index, build, open, query

__all__ = ["Hit", "Index", "build", "open", "query"]
