"""Writes submission files: one line per row, in order; the file is complete or absent."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from aisle.atomic_files import atomic_text, wrap_write_errors
from aisle.data.catalog import Catalog
from aisle.errors import CatalogError


def write_lines(
    catalog: Catalog,
    predictions: Iterable[Any],
    file: Path,
    line: Callable[[dict[str, Any], Any], str],
    header: str = "",
) -> int:
    """Write one line per row.

    Args:
        catalog: The rows.
        predictions: One per row, in order.
        file: The output file.
        line: Makes a line from a row's raw record and its prediction.
        header: The first line.

    Returns:
        The number of rows.

    Raises:
        CatalogError: The predictions are not those of the rows, or the file cannot be written.
    """
    count = 0
    with wrap_write_errors(file, CatalogError), atomic_text(file, newline="") as handle:
        handle.write(header)
        for record, prediction in _paired(catalog, predictions):
            handle.write(line(record, prediction))
            count += 1
    return count


def _paired(catalog: Catalog, predictions: Iterable[Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    given = iter(predictions)
    for row in range(len(catalog)):
        record = catalog.raw(row)
        prediction = next(given, None)
        if prediction is None:
            raise CatalogError(
                f"{row:,} predictions for {len(catalog):,} rows: a submission needs one per row"
            )
        own = str(record.get(catalog.columns.id or "") or row + 1)
        if prediction.id != own:
            raise CatalogError(
                f"prediction {row + 1:,} is of product {prediction.id!r}, the row of {own!r}: keep the order"
            )
        yield record, prediction
    if next(given, None) is not None:
        raise CatalogError(f"more predictions than the {len(catalog):,} rows: a submission needs one per row")
