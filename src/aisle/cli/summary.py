"""What several commands say of the catalogue they were given."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle.data import Catalog, Columns
    from aisle.progress import Progress

SHOWN = 3  # problems that are named before work begins
COLUMNS = 12  # columns of one part that are named


def tell(catalog: "Catalog", progress: "Progress", model: Any = None) -> None:
    """What was read, how its columns were understood, which are missed, and how much of it is bad.

    Args:
        catalog: what was read.
        progress: where it is said.
        model: what will read it.

    Raises:
        CatalogError: no row has any view that the model reads.
    """
    from aisle.data.column_hints import CALLED, propose

    progress.say(f"read {len(catalog):,} rows; columns: {columns_line(catalog.columns)}")
    for one in propose(catalog):
        if one.role != "category":  # what needs labels says so itself
            likely = f"the likeliest is {one.column!r}: {one.flag}"
            progress.say(f"no filled column is named like the {CALLED[one.role]}; {likely}")
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
    """`id · title: ProductName · category`: each part, and its columns if called otherwise, the first few."""
    parts = []
    for part, held in columns.describe():
        names = held.split(", ")
        if len(names) > COLUMNS:
            held = f"{', '.join(names[:COLUMNS])} and {len(names) - COLUMNS:,} more"
        parts.append(part if part == held else f"{part}: {held}")
    return " · ".join(parts)
