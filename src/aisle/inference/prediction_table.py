"""The table of predictions as spreadsheets show it: one column per level, one number per cell."""

import csv
from collections.abc import Iterator, Sequence
from typing import TextIO

from aisle.data import Catalog
from aisle.data.text import spreadsheet_text, strip_markup
from aisle.guarantee import Prediction
from aisle.taxonomy import format_path

BYTE_ORDER_MARK = "\ufeff"  # without it, Excel reads UTF-8 as the encoding of the system
_FIRST = ("id", "title", "decision", "path")
_LAST = (
    "confidence", "reason", "rule", "best", "best_confidence", "alternatives", "threshold", "problems",
    "path_id", "best_id", "model_id",
)  # fmt: skip


def table_columns(levels: int) -> list[str]:
    """The names of the columns, with `level 1` to `level N` for a tree of N levels."""
    return [*_FIRST, *(f"level {level}" for level in range(1, levels + 1)), *_LAST]


class PredictionTable:
    """Writes predictions as CSV.

    `path` and the level columns hold the path that was decided, which is blank where the product is left for
    review. `confidence` is that of this path, and in review that of `best`.

    Args:
        handle: A text file, opened with `newline=""`.
        levels: The number of levels of the tree.
    """

    def __init__(self, handle: TextIO, levels: int) -> None:
        self.levels = levels
        handle.write(BYTE_ORDER_MARK)
        self._writer = csv.writer(handle)
        self._writer.writerow(table_columns(levels))

    def write(self, predictions: Sequence[Prediction], titles: Sequence[str]) -> None:
        """Write one row per prediction; `titles` are those of the products."""
        self._writer.writerows(map(self._row, predictions, titles))

    def _row(self, prediction: Prediction, title: str) -> Iterator[object]:
        names = (*prediction.path, *[""] * (self.levels - len(prediction.path)))
        others = " | ".join(f"{format_path(path)} ({round(c, 6)})" for path, c in prediction.alternatives)
        yield from map(
            spreadsheet_text,
            (prediction.id, title, prediction.decision, format_path(prediction.path), *names),
        )
        yield round(prediction.path_confidence, 6)
        yield from map(spreadsheet_text, (prediction.reason, prediction.rule, format_path(prediction.best)))
        yield round(prediction.confidence[-1], 6)
        yield spreadsheet_text(others)
        yield "" if prediction.threshold is None else round(prediction.threshold, 6)
        yield from map(
            spreadsheet_text,
            (" | ".join(prediction.problems), prediction.path_id, prediction.best_id, prediction.model_id),
        )


def titles_of(catalog: Catalog) -> Iterator[str]:
    """The titles of the products, as text; blank where the catalog has none."""
    if catalog.columns.title is None:
        yield from ("" for _ in range(len(catalog)))
        return
    for array in catalog.raw_column(catalog.columns.title):
        yield from (strip_markup(title or "") for title in array.to_pylist())
