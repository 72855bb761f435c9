"""Finds which of several flat categories of a product is above which."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from aisle.data.dialects.cells import Path

_CACHED = 100_000  # pairs of categories


class NestedCategories:
    """The order of categories that a platform lists without their levels: `Home, Clothes, Men`.

    A category is above another if every product with the other one has it too, and more products have it. Of
    two that always occur together, the first is above.

    Args:
        lists: The distinct lists of categories of all products.
    """

    def __init__(self, lists: Iterable[Sequence[Path]]) -> None:
        self._lists: dict[str, set[int]] = {}
        for number, paths in enumerate(lists):
            for name in _flat(paths):
                self._lists.setdefault(name, set()).add(number)
        self._holds = lru_cache(_CACHED)(lambda a, b: self._lists[a] >= self._lists[b])

    def paths(self, paths: Sequence[Path]) -> list[Path]:
        """The categories of a product as paths; those that have levels stay as they are."""
        names = _flat(paths)
        above = {name: [other for other in names if self._above(other, name, names)] for name in names}
        inner = {name for others in above.values() for name in others}
        nested = [(*self._by_size(above[name]), name) for name in names if name not in inner]
        return [*nested, *(path for path in paths if len(path) > 1)]

    def _above(self, a: str, b: str, names: Sequence[str]) -> bool:
        if a == b or a not in self._lists or b not in self._lists or not self._holds(a, b):
            return False
        return not self._holds(b, a) or names.index(a) < names.index(b)

    def _by_size(self, names: Sequence[str]) -> list[str]:
        return sorted(names, key=lambda name: -len(self._lists[name]))


def _flat(paths: Iterable[Path]) -> list[str]:
    return list(dict.fromkeys(path[0] for path in paths if len(path) == 1))
