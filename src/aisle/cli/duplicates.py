"""`aisle duplicates`: groups rows that list the same product."""

from pathlib import Path
from typing import Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, CatalogOptions, Quiet, Source

MAX_GROUPS = 10  # printed
MAX_ROWS = 4  # printed per group


@command("duplicates", "Group rows that list the same product.", section="Catalog")
def duplicates(
    source: Source,
    options: CatalogOptions,
    mode: Annotated[
        str, typer.Option(help="Compare text or image (either), both, text, or image.")
    ] = "either",
    out: Annotated[
        Path | None, typer.Option(help="Write one line per grouped row: .csv, .tsv, .jsonl or .parquet.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Group rows that list the same product, also where its text or image was changed."""
    from aisle.cli.summary import print_catalog_summary
    from aisle.data.writing import check_output
    from aisle.search import duplicates as finder

    if out is not None:
        check_output(out)
    progress = console.progress(quiet or as_json)
    catalog = options.read(source, labels=False)
    print_catalog_summary(catalog, progress)
    groups = finder.find(catalog, mode, progress)  # type: ignore[arg-type]
    rows = finder.to_rows(groups, catalog)
    if out is not None:
        finder.write_rows(rows, out)
    if as_json:
        console.print_json({"rows": len(catalog), "groups": len(groups), "listed": rows})
        return
    redundant = len(rows) - len(groups)
    console.out.print(
        f"{len(groups):,} products are listed more than once, in {len(rows):,} rows; {redundant:,} rows "
        f"are redundant"
    )
    _print_groups(rows)
    console.print_paths(groups=out)


def _print_groups(rows: list[dict[str, Any]]) -> None:
    position = -1
    for previous, row in zip([None, *rows], rows, strict=False):
        if row["group"] > MAX_GROUPS:
            console.out.print("… (--out groups.csv writes all of them)")
            return
        position = position + 1 if previous and previous["group"] == row["group"] else 0
        if position == 0:
            console.out.print(f"\ngroup {row['group']}: {row['size']} rows with similar {row['matched_by']}")
        if position < MAX_ROWS:
            title = console.printable(row["title"])
            console.out.print(
                f"  row {row['row']:>7,}  {row['id']}  {title[:100]}", markup=False, soft_wrap=True
            )
        elif position == MAX_ROWS:
            console.out.print(f"  … and {row['size'] - MAX_ROWS:,} more")
