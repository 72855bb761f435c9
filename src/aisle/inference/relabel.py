"""Moves the labels of a catalog file into another version of the tree, in a copy of the file."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.inference.write_back.category_format import CategoryFormat, category_format
from aisle.inference.write_back.decisions import ChosenCategory
from aisle.inference.write_back.run import check_write_back
from aisle.inference.write_back.source_file import rewrite_catalog, source_file
from aisle.taxonomy import format_path
from aisle.taxonomy.tree_diff import TaxonomyDiff
from aisle.taxonomy.tree_diff.moves import moves


class Relabelled(NamedTuple):
    """The changes in a file.

    Attributes:
        out: the new file.
        products: products with a label.
        kept: those whose category is the same.
        moved: those whose category has another path or id now.
        unsure: those whose category was left as it was: retired, split or uncertain.
        rows: rows whose cells were changed.
        without_code: categories that were not written, for the shop's file of codes lacks them.
    """

    out: Path
    products: int
    kept: int
    moved: int
    unsure: int
    rows: int
    without_code: tuple[str, ...]


def relabel(catalog: Catalog, changes: TaxonomyDiff, out: Path) -> Relabelled:
    """Copy the file of a catalog with its labels moved into the new tree.

    Every cell but those of the category stays byte for byte as it is. Products whose category was retired,
    split or is uncertain keep it.

    Args:
        catalog: the catalog, of one file, with labels of the old tree.
        changes: the differences of the catalog's tree and the new one.
        out: the new file, with the same ending.

    Raises:
        OutputError: the file cannot be written back, or changed since it was read.
    """
    check_write_back([file.path for file in catalog.files], out)
    form = category_format(catalog, *source_file(catalog), catalog.catalog_format)
    every, node = moves(changes), catalog.targets().node
    editor = _LabelCells(catalog, changes, form)
    result = rewrite_catalog(catalog, out, editor)
    labelled = node[node >= 0]
    is_sure = np.array([move.sure for move in every])
    same = np.array([
        m.sure and changes.old.nodes[i].path == changes.new.nodes[m.targets[0]].path
        for i, m in enumerate(every)
    ])  # fmt: skip
    return Relabelled(
        out,
        len(labelled),
        int(same[labelled].sum()),
        int((is_sure & ~same)[labelled].sum()),
        int((~is_sure)[labelled].sum()),
        result.changed,
        tuple(sorted(format_path(category.path) for category in editor.without_code)),
    )


class _LabelCells:
    """The category cells of each row of a catalog's file.

    Attributes:
        columns: the columns of the category.
        without_code: categories that have no code in this shop, and are not written.
    """

    def __init__(self, catalog: Catalog, changes: TaxonomyDiff, form: CategoryFormat) -> None:
        self.columns, self.form = form.columns, form
        self.without_code: set[ChosenCategory] = set()
        self._product, self._node = catalog.source_rows, catalog.targets().node
        self._cells: dict[int, tuple[str, ...] | None] = {}
        for old, move in enumerate(moves(changes)):
            if not move.sure:
                continue
            new = changes.new.nodes[move.targets[0]]
            before = changes.old.nodes[old]
            by_id = form.value == "id" and before.id != format_path(before.path)
            if before.path == new.path and not (by_id and before.id != new.id):
                continue
            category = ChosenCategory(new.path, new.id)
            self._cells[old] = form.cells(category)
            if self._cells[old] is None:
                self.without_code.add(category)

    def __call__(self, row: int, old: Sequence[str | None]) -> Sequence[str | None]:
        """The new cells of one row; None where it stays as it is."""
        stays = [None] * len(self.columns)
        if row >= len(self._product) or self._product[row] < 0 or not any(old):
            return stays
        node = int(self._node[self._product[row]])
        return self._cells.get(node) or stays
