"""What several commands say of the catalogue they were given."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle.catalog import Catalog, Columns
    from aisle.progress import Progress

SHOWN = 3  # problems that are named before work begins


def tell(catalog: "Catalog", progress: "Progress", model: Any = None) -> None:
    """What was read, how its columns were understood, and how much of it is bad. model: what will read it.

    Raises:
        CatalogError: no row has any view that the model reads.
    """
    progress.say(f"read {len(catalog):,} rows; columns: {columns_line(catalog.columns)}")
    if catalog.problems:
        rows = len(catalog.problems.rows_with())
        progress.say(f"{len(catalog.problems):,} problems in {rows:,} rows (`aisle check` lists all):")
        for problem in catalog.problems[:SHOWN]:
            progress.say(f"  {problem}")
    if model is not None:
        from aisle.inference.known_columns import check_columns

        say_lacking(check_columns(model, catalog), progress)


def say_lacking(views: list[str], progress: "Progress") -> None:
    """The views that a model reads and no column feeds."""
    if views:
        progress.say(f"the model also reads {', '.join(views)}; no column of this file holds it")


def columns_line(columns: "Columns") -> str:
    """`id · title: ProductName · category`: each part, and its column if called otherwise."""
    return " · ".join(part if part == held else f"{part}: {held}" for part, held in columns.describe())
