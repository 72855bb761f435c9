"""Replaces likely wrong labels of a catalog by the proposals of an audit."""

from pathlib import Path

import numpy as np

from aisle.data import Catalog
from aisle.data.writing import write_rows
from aisle.evaluation.audit.result import LIKELY, Audit
from aisle.taxonomy import CategoryPath, format_path

COLUMN = "audited_category"  # used where the source's label has several columns or several categories


def corrected(catalog: Catalog, audit: Audit, min_chance: float = LIKELY) -> Catalog:
    """A catalog in which labels that are wrong with at least probability `min_chance` are replaced."""
    tree, node = catalog.taxonomy, catalog.targets().node
    labels: list[CategoryPath | None] = [None if n < 0 else tree.nodes[n].path for n in node.tolist()]
    for i, path in _changed(catalog, audit, min_chance).items():
        labels[i] = path
    return catalog.with_labels(labels, tree)


def write_corrected(catalog: Catalog, audit: Audit, file: Path, min_chance: float = LIKELY) -> int:
    """Write the catalog with replaced labels, in the style of its labels.

    Where the label is not one column with one category per row, a column `audited_category` with the paths of
    all rows is added instead.

    Args:
        catalog: The catalog.
        audit: The audit.
        file: The output file.
        min_chance: Labels that are wrong with at least this probability are replaced.

    Returns:
        The number of replaced labels.

    Raises:
        CatalogError: The ending is unknown, or the file cannot be written.
    """
    changed, label_column, style = (
        _changed(catalog, audit, min_chance),
        catalog.columns.category,
        catalog.style,
    )
    if label_column is None or style.separator:
        labels = [format_path(c[0]) if c else "" for c in (product.categories for product in catalog)]
        column = COLUMN
    else:
        labels = [value or "" for part in catalog.raw_column(label_column) for value in part.to_pylist()]
        column = label_column
    for i, path in changed.items():
        node = catalog.taxonomy.nodes[catalog.taxonomy.index(path)]
        labels[i] = (
            node.id
            if catalog.official and column == label_column and labels[i] == _id(catalog, i)
            else (format_like_catalog(path, catalog) if column == label_column else format_path(path))
        )
    write_rows(catalog, file, {column: np.array(labels, dtype=object)})
    return len(changed)


def format_like_catalog(path: CategoryPath, catalog: Catalog) -> str:
    """A path in the style of the catalog's labels."""
    style = catalog.style
    parts = path[::-1] if style.leaf_first else path
    delimiter = style.delimiter or ">"
    return (f" {delimiter} " if style.spaced or delimiter == ">" else delimiter).join(parts)


def _id(catalog: Catalog, i: int) -> str:
    return catalog.taxonomy.nodes[int(catalog.targets().node[i])].id


def _changed(catalog: Catalog, audit: Audit, min_chance: float) -> dict[int, CategoryPath]:
    position = {int(row): i for i, row in enumerate(catalog.rows)}
    return {position[f.row]: f.proposed for f in audit.findings if f.chance >= min_chance}
