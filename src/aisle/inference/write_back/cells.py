"""How a category is written into a shop export."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import Any

import numpy as np

from aisle.data import Catalog
from aisle.data.dialects import Dialect
from aisle.data.dialects.header import Header
from aisle.data.text import fold_spelling
from aisle.inference.write_back.decisions import ChosenCategory, DecisionLog
from aisle.taxonomy import DELIMITER, CategoryPath, format_path

EXTRA_COLUMNS = ("aisle_decision", "aisle_confidence")
_CELLS = 10_000  # by which the root of the categories is found


@dataclass(frozen=True)
class CategoryFormat:
    """How categories are written in the cells of an export.

    Attributes:
        columns: The columns that are filled: one, or one per level.
        value: What is written: the path, the name of its last level, or the id.
        delimiter: Separates levels.
        separator: Separates several categories of a product.
        escape: The character that precedes a literal separator in a name.
        root: The name of the root that the export has before all paths; empty if it has none.
        every_row: Whether all rows of a product are filled; else its first.
        extra_columns: Whether decision and confidence become columns of the export.
    """

    columns: tuple[str, ...]
    value: str = "path"
    delimiter: str = DELIMITER
    separator: str | None = None
    escape: str | None = None
    root: str = ""
    every_row: bool = True
    extra_columns: bool = True

    def cells(self, category: ChosenCategory) -> tuple[str, ...]:
        """The cells of a category."""
        path = category.path
        if len(self.columns) > 1:
            return (*path, *[""] * len(self.columns))[: len(self.columns)]
        if self.value == "id" and category.id != format_path(path):
            return (category.id,)
        if self.value == "name":
            return (self._escaped(path[-1]),)
        rooted = self.root and fold_spelling(path[0]) != fold_spelling(self.root)
        return (self.delimiter.join(map(self._escaped, (self.root, *path) if rooted else path)),)

    def holds(self, cells: Sequence[str], category: ChosenCategory) -> bool:
        """Whether cells name a category already, or one below it."""
        if len(self.columns) > 1:
            return _folded(cells)[: len(category.path)] == _folded(category.path)
        (cell,) = cells
        if self.value != "path" and cell.strip() == self.cells(category)[0]:
            return True
        path = _folded(category.path)
        return any(other[: len(path)] == path for other in self._paths(cell))

    def _paths(self, cell: str) -> list[CategoryPath]:
        """The paths in a cell, folded and without the root."""
        mark = self.delimiter.strip() or self.delimiter
        found = []
        for part in _split(cell, self.separator, self.escape):
            path = _folded(name for name in part.split(mark) if name.strip())
            rooted = self.root and path[:1] == (fold_spelling(self.root),) and len(path) > 1
            found.append(path[1:] if rooted else path)
        return found

    def _escaped(self, name: str) -> str:
        if self.separator and self.escape:
            return name.replace(self.separator, self.escape + self.separator)
        return name


def _folded(names: Any) -> CategoryPath:
    return tuple(map(fold_spelling, names))


def _split(cell: str, separator: str | None, escape: str | None) -> list[str]:
    if not separator:
        return [cell]
    before = f"(?<!{re.escape(escape)})" if escape else ""
    parts = re.split(before + re.escape(separator), cell)
    return [part.replace(f"{escape}{separator}", separator) for part in parts] if escape else parts


def category_format(catalog: Catalog, trained_roles: Mapping[str, Any]) -> CategoryFormat:
    """How categories are written into the export that a catalog was read from.

    Args:
        catalog: The catalog.
        trained_roles: The column roles of the model's training catalog, by role; may be empty.
    """
    if catalog.dialect is not None:
        return _of_dialect(catalog, catalog.dialect, trained_roles)
    levels = tuple(trained_roles.get("levels", ())) or catalog.columns.levels
    if levels and set(levels) <= set(catalog.names):
        return CategoryFormat(tuple(levels))
    column = trained_roles.get("category") or catalog.columns.category or "category"
    delimiter = trained_roles.get("delimiter")
    if delimiter == "":
        return CategoryFormat((column,), value="name")
    value = "path" if delimiter or not trained_roles else "id"  # without a delimiter: ids of a given tree
    return CategoryFormat((column,), value, delimiter or DELIMITER)


def _of_dialect(catalog: Catalog, dialect: Dialect, trained_roles: Mapping[str, Any]) -> CategoryFormat:
    rules, header = dialect.write_back, Header(catalog.names)
    trained = trained_roles.get("category")
    existing = header.find_all(rules.columns)
    column = trained if trained in existing else existing[0] if existing else None
    column = column or (rules.columns[0] if rules.columns else catalog.columns.category or "category")
    return CategoryFormat(
        (column,),
        rules.value,
        rules.delimiter,
        rules.separator or dialect.category.separator,
        rules.escape or dialect.category.escape,
        _root(catalog, dialect, column, rules.delimiter),
        rules.every_row,
        rules.extra_columns,
    )


def _root(catalog: Catalog, dialect: Dialect, column: str, delimiter: str) -> str:
    """The root before the paths of an export: the one that its cells have, else the platform's usual one."""
    roots, usual = dialect.category.drop_roots, dialect.category.common_root
    if not roots and not usual:
        return ""
    arrays = catalog.raw_column(column) if column in catalog.names else ()
    cells = (str(cell) for cell in chain.from_iterable(array.to_pylist() for array in arrays) if cell)
    mark = delimiter.strip() or delimiter
    paths = [cell.split(mark) for cell in islice(cells, _CELLS)]
    first = Counter(path[0].strip() for path in paths)
    if not first:
        return roots[0] if roots else ""
    root, count = first.most_common(1)[0]
    known = {fold_spelling(name) for name in roots}
    if fold_spelling(root) in known:
        return root
    return root if usual and count == len(paths) and any(len(path) > 1 for path in paths) else ""


class CategoryCells:
    """The cells that are set in each row of an export.

    Args:
        catalog: The catalog that was read from it.
        log: What was decided for each of its products.
        form: How categories are written.
    """

    def __init__(self, catalog: Catalog, log: DecisionLog, form: CategoryFormat) -> None:
        self.log, self.form = log, form
        self.columns = (*form.columns, *(EXTRA_COLUMNS if form.extra_columns else ()))
        self._product = catalog.source_rows
        self._filled = np.ones(len(self._product), bool)
        if not form.every_row:
            self._filled[:] = False
            self._filled[catalog.rows - catalog.first_source_row] = True
        self._cells = lru_cache(65_536)(form.cells)
        self._holds = lru_cache(65_536)(form.holds)

    def __call__(self, row: int, old: Sequence[str | None]) -> Sequence[str | None]:
        """The new cells of one row; None where it stays as it is."""
        product = int(self._product[row]) if row < len(self._product) else -1
        if product < 0 or not self._filled[row]:
            return [None] * len(self.columns)
        width = len(self.form.columns)
        category = self.log.category(product)
        cells: Sequence[str | None] = [None] * width
        if category is not None and not self._holds(tuple(cell or "" for cell in old[:width]), category):
            cells = self._cells(category)
        if not self.form.extra_columns:
            return cells
        return [*cells, self.log.decision(product), repr(round(self.log.confidence(product), 6))]
