"""The cells that are set in each row of a shop export."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from aisle.data import Catalog
from aisle.data.columns import DECISION_COLUMNS
from aisle.inference.write_back.category_format import CategoryFormat
from aisle.inference.write_back.decisions import ChosenCategory, ProductDecisions

_CACHED = 65_536  # cells


class CategoryCells:
    """The cells that are set in each row of an export.

    Args:
        catalog: The catalog that was read from it.
        log: What was decided for each of its products.
        form: How categories are written.

    Attributes:
        without_code: Categories that have no code in this shop, and are not written.
    """

    def __init__(self, catalog: Catalog, log: ProductDecisions, form: CategoryFormat) -> None:
        self.log, self.form = log, form
        self.columns = (*form.columns, *(DECISION_COLUMNS if form.extra_columns else ()))
        self.without_code: set[ChosenCategory] = set()
        self._product = catalog.source_rows
        self._is_main = np.zeros(len(self._product), bool)
        self._is_main[catalog.main_rows - catalog.first_source_row] = True
        self._cells = lru_cache(_CACHED)(form.cells)
        self._holds = lru_cache(_CACHED)(form.holds)

    def __call__(self, row: int, old: Sequence[str | None]) -> Sequence[str | None]:
        """The new cells of one row; None where it stays as it is."""
        if row >= len(self._product) or self._product[row] < 0:
            return [None] * len(self.columns)
        product = int(self._product[row])
        labelled = self.form.labelled_rows and any(old[: len(self.form.columns)])
        if not (self.form.every_row or self._is_main[row] or labelled):
            return [None] * len(self.columns)  # a variant
        cells = self._category(product, old[: len(self.form.columns)])
        if not self.form.extra_columns:
            return cells
        return [*cells, self.log.decision(product), repr(round(self.log.confidence(product), 6))]

    def _category(self, product: int, old: Sequence[str | None]) -> Sequence[str | None]:
        stays = [None] * len(self.form.columns)
        category = self.log.category(product)
        if category is None or self._holds(tuple(cell or "" for cell in old), category):
            return stays
        cells = self._cells(category)
        if cells is None:
            self.without_code.add(category)
            return stays
        return cells
