"""Finds the element of an XML document that is its record: a product."""

from collections import Counter
from typing import NamedTuple

XmlPath = tuple[str, ...]
_KNOWN = (  # the records of feeds
    ("rss", "channel", "item"),
    ("rdf:RDF", "item"),
    ("RDF", "item"),
    ("feed", "entry"),
    ("yml_catalog", "shop", "offers", "offer"),
)
_PRODUCT = {
    *("product", "item", "offer", "article", "good", "sku", "record", "row", "entry", "listing", "node"),
    *(
        "produkt",
        "artikel",
        "angebot",
        "produit",
        "producto",
        "articulo",
        "prodotto",
        "produto",
        "o",
        "shopitem",
    ),
    "товар",
}
_CELLS = {"field", "column", "col", "property", "attribute"}  # <row><field name="id">1</field></row>
_CLEAR = 200  # records of the likeliest element after which the head of a document says enough
_MAX_PATHS = 20_000  # kinds of elements that are counted


class _Kind(NamedTuple):
    """Statistics of the elements at one path."""

    fields: set[str]
    siblings: list[int]  # the most under one parent


class Structure:
    """Counts the elements of a document by path, as a handler of `XmlParser`."""

    def __init__(self) -> None:
        self.kinds: dict[XmlPath, _Kind] = {}
        self._counts: Counter[XmlPath] = Counter()
        self._stack: list[tuple[XmlPath, Counter[str]]] = []

    def start_element(self, name: str, attributes: dict[str, str]) -> None:
        """A start tag."""
        path = (*self._stack[-1][0], name) if self._stack else (name,)
        if path not in self.kinds and len(self.kinds) < _MAX_PATHS:
            self.kinds[path] = _Kind(set(), [0])
        self._counts[path] += 1
        if self._stack:
            parent, names = self._stack[-1]
            names[name] += 1
            if parent in self.kinds:
                name_attribute = attributes.get("name", "") if name in _CELLS else ""
                self.kinds[parent].fields.add(f"{name}{name_attribute}")
            if path in self.kinds:
                self.kinds[path].siblings[0] = max(self.kinds[path].siblings[0], names[name])
        if path in self.kinds:
            self.kinds[path].fields.update(f"@{key}" for key in attributes)
        self._stack.append((path, Counter()))

    def end_element(self, _: str) -> None:
        """An end tag."""
        self._stack.pop()

    def data(self, text: str) -> None:
        """Characters are ignored."""

    @property
    def is_clear(self) -> bool:
        """Whether more of the document would not change the record."""
        path = self.record_path()
        return path is not None and (path in _KNOWN or self._counts[path] >= _CLEAR)

    def record_path(self) -> XmlPath | None:
        """The path of the records.

        Known feeds come first; then elements called product, item, …, unless they lie in a repeated element
        of more fields; then, of repeated elements that lie in no other, the one with the most fields.
        """
        for path in _KNOWN:
            if path in self.kinds:
                return path
        wide = [path for path, kind in self.kinds.items() if len(kind.fields) > 1]
        repeated = [path for path in wide if self.kinds[path].siblings[0] > 1]
        products = [path for path in wide if _is_product(path)]
        chosen = [path for path in products if path in repeated] or products or repeated
        if not chosen:
            return min(wide, key=len, default=None)  # a single record
        best = max(_outermost(chosen), key=self._rank)
        around = [path for path in repeated if best[: len(path)] == path]
        return max([best, *around], key=self._rank)

    def _rank(self, path: XmlPath) -> tuple[int, int]:
        return len(self.kinds[path].fields), self._counts[path]


def _is_product(path: XmlPath) -> bool:
    return len(path) > 1 and path[-1].rpartition(":")[2].casefold() in _PRODUCT


def _outermost(paths: list[XmlPath]) -> list[XmlPath]:
    """The paths of which no other path is the beginning."""
    return [p for p in paths if not any(p != other and p[: len(other)] == other for other in paths)]
