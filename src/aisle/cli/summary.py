"""Printing of a catalog summary, shared by several commands."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle.data import Catalog, Columns
    from aisle.progress import Progress

MAX_PROBLEMS = 3  # printed before work begins
MAX_COLUMNS = 12  # printed per role


def print_catalog_summary(catalog: "Catalog", progress: "Progress", model: Any = None) -> None:
    """Print the rows, the role of each column, missing columns and problems.

    Args:
        catalog: The catalog.
        progress: Receives the lines.
        model: The model that will read it.

    Raises:
        CatalogError: No row has any view that the model reads.
    """
    from aisle.data.column_hints import ROLE_NAMES, propose

    progress.say(f"{announce(catalog)}; columns: {columns_line(catalog.columns)}")
    for proposal in propose(catalog):
        if proposal.role != "category":  # a command that needs labels reports that itself
            likely = f"the most likely is {proposal.column!r}: {proposal.flag}"
            progress.say(f"no column is recognised as the {ROLE_NAMES[proposal.role]}; {likely}")
    _print_problems(catalog, progress)
    if model is not None:
        from aisle.inference.known_columns import check_columns

        print_missing_views(check_columns(model, catalog), progress)


def _print_problems(catalog: "Catalog", progress: "Progress") -> None:
    """Print what concerns whole files or columns, then how many rows have a problem, with examples."""
    rows = len(catalog.problems.rows_with())
    general = [problem for problem in catalog.problems if problem.row is None]
    for problem in general[:MAX_PROBLEMS]:
        progress.say(str(problem))
    if rows:
        problems = count(len(catalog.problems) - len(general), "problem")
        progress.say(f"{problems} in {count(rows, 'row')} (`aisle check` lists all):")
        for problem in catalog.problems[len(general) : len(general) + MAX_PROBLEMS]:
            progress.say(f"  {problem}")


def announce(catalog: "Catalog") -> str:
    """`read 1,207 rows`, or `Shopify product export, 412 products in 1,207 rows`."""
    if catalog.dialect is None:
        return f"read {count(len(catalog), 'row')}"
    rows = len(catalog.source_rows)
    return f"{catalog.dialect.title}, {count(len(catalog), 'product')} in {count(rows, 'row')}"


def count(number: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_missing_views(views: list[str], progress: "Progress") -> None:
    """Print the views that a model reads and that no column provides."""
    if views:
        progress.say(f"the model also reads {', '.join(views)}; no column of this file has it")


def columns_line(columns: "Columns") -> str:
    """`id · title: ProductName · category`: each role, and its columns where their name is another."""
    parts = []
    for part, part_columns in columns.describe():
        names = part_columns.split(", ")
        if len(names) > MAX_COLUMNS:
            part_columns = f"{', '.join(names[:MAX_COLUMNS])} and {len(names) - MAX_COLUMNS:,} more"
        if part_columns != part_columns.strip():  # a separator
            part_columns = repr(part_columns)
        parts.append(part if part == part_columns else f"{part}: {part_columns}")
    return " · ".join(parts)
