"""Writes targets into a copy of the shop's export, such as `g:google_product_category` of a feed."""

from collections.abc import Sequence
from pathlib import Path

from aisle.data import Catalog
from aisle.data.rewriting.edits import RewriteSummary
from aisle.inference.write_back import check_write_back
from aisle.inference.write_back.category_format import CategoryFormat
from aisle.inference.write_back.cells import CategoryCells
from aisle.inference.write_back.decisions import ChosenCategory
from aisle.inference.write_back.source_file import rewrite_catalog
from aisle.mapping.run import CategoryMapping

GOOGLE_COLUMN = "google_product_category"


class MappedCells:
    """The target of each product, as write-back asks for it."""

    def __init__(self, mapping: CategoryMapping, nodes: Sequence[int], every: bool) -> None:
        self._mapping, self._nodes, self._every = mapping, nodes, every

    def category(self, product: int) -> ChosenCategory | None:
        """The target that is written for a product; None where its cell stays as it is."""
        target = self._mapping.target_of(product, int(self._nodes[product]), self._every)
        if target < 0:
            return None
        node = self._mapping.target.nodes[target]
        return ChosenCategory(node.path, node.id)

    def decision(self, product: int) -> str:
        """How a product's target was found: decided, review or override."""
        return self._found(product)[0]

    def confidence(self, product: int) -> float:
        """The probability of a product's target."""
        return self._found(product)[1]

    def _found(self, product: int) -> tuple[str, float]:
        own, node = self._mapping.products.get(product), int(self._nodes[product])
        if own is None and node < 0:
            return "review", 0.0
        found = own or self._mapping.categories[node]
        return found.decision, found.probability


def feed_column(catalog: Catalog, mapping: CategoryMapping) -> str:
    """The column that targets are written into: the file's own, else one that the platform reads."""
    names = {name.casefold().replace(" ", "_").removeprefix("g:"): name for name in catalog.names}
    if "Google" in mapping.kind:
        prefix = "g:" if any(name.startswith("g:") for name in catalog.names) else ""
        return names.get(GOOGLE_COLUMN, prefix + GOOGLE_COLUMN)
    if "Shopify" in mapping.kind:
        return names.get("product_category", "Product Category")
    return "target_category"


def write_feed(
    catalog: Catalog, mapping: CategoryMapping, out: Path, column: str | None = None, every: bool = False
) -> RewriteSummary:
    """Copy the file that a catalog was read from, with the target of each product.

    Ids are written; paths where the target tree has none, and into Shopify's column.

    Args:
        catalog: of one file.
        mapping: of its categories.
        out: the file.
        column: that is filled; by default the file's own, or the platform's usual one.
        every: write targets that are left for review too.

    Raises:
        OutputError: the format cannot be written, or `out` has another ending or is the source.
    """
    check_write_back([file.path for file in catalog.files], out)
    name = column or feed_column(catalog, mapping)
    value = "path" if "Shopify" in mapping.kind else "id"
    form = CategoryFormat((name,), lambda _: (), value, extra_columns=False)
    editor = CategoryCells(catalog, MappedCells(mapping, catalog.targets().node.tolist(), every), form)
    return rewrite_catalog(catalog, out, editor)
