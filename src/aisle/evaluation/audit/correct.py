"""A catalog whose likely wrong labels are replaced by what an audit proposes."""

from pathlib import Path

import numpy as np

from aisle.data import Catalog
from aisle.data.writing import write_rows
from aisle.evaluation.audit.result import LIKELY, Audit
from aisle.taxonomy import CategoryPath, format_path

COLUMN = "audited_category"  # where the source's own label is spread over columns, or holds several


def corrected(catalog: Catalog, found: Audit, least: float = LIKELY) -> Catalog:
    """The same rows with labels that are wrong with at least this chance replaced by what is proposed."""
    tree, node = catalog.taxonomy, catalog.targets().node
    labels: list[CategoryPath | None] = [None if n < 0 else tree.nodes[n].path for n in node.tolist()]
    for i, path in _changed(catalog, found, least).items():
        labels[i] = path
    return catalog.with_labels(labels, tree)


def write_corrected(catalog: Catalog, found: Audit, file: Path, least: float = LIKELY) -> int:
    """Write the catalog with those labels replaced, spelled as its own are; returns how many.

    Where the source's label is not one column with one category a row, a column `audited_category` is
    added instead, which holds every row's path.

    Raises:
        CatalogError: the ending is unknown, or the disk refuses.
    """
    changed, own, style = _changed(catalog, found, least), catalog.columns.category, catalog.style
    if own is None or style.separator:
        labels = [format_path(c[0]) if c else "" for c in (product.categories for product in catalog)]
        column = COLUMN
    else:
        labels = [value or "" for part in catalog.raw_column(own) for value in part.to_pylist()]
        column = own
    for i, path in changed.items():
        node = catalog.taxonomy.nodes[catalog.taxonomy.index(path)]
        labels[i] = (
            node.id
            if catalog.official and column == own and labels[i] == _id(catalog, i)
            else (spelled(path, catalog) if column == own else format_path(path))
        )
    write_rows(catalog, file, column, np.array(labels, dtype=object))
    return len(changed)


def spelled(path: CategoryPath, catalog: Catalog) -> str:
    """A path as the catalog's own label column writes paths."""
    style = catalog.style
    parts = path[::-1] if style.leaf_first else path
    mark = style.delimiter or ">"
    return (f" {mark} " if style.spaced or mark == ">" else mark).join(parts)


def _id(catalog: Catalog, i: int) -> str:
    return catalog.taxonomy.nodes[int(catalog.targets().node[i])].id


def _changed(catalog: Catalog, found: Audit, least: float) -> dict[int, CategoryPath]:
    place = {int(row): i for i, row in enumerate(catalog.rows)}
    return {place[f.row]: f.proposed for f in found.findings if f.chance >= least}
