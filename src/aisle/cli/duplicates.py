"""`aisle duplicates`: the same product listed twice."""

from pathlib import Path
from typing import Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console

_SHOWN = 10  # groups printed
_ROWS = 4  # rows of a group that are printed


def duplicates(
    source: flags.Source,
    by: Annotated[
        str, typer.Option(help="either: alike in text or picture; both: in both; text; picture.")
    ] = "either",
    out: Annotated[
        Path | None, typer.Option(help="Write a line a row in a group: .csv, .tsv, .jsonl or .parquet.")
    ] = None,
    column: flags.ColumnFlag = None,
    columns: flags.ColumnsFlag = None,
    image_root: flags.ImageRootFlag = None,
    max_expanded: flags.MaxExpandedFlag = None,
    delimiter: flags.DelimiterFlag = None,
    encoding: flags.EncodingFlag = None,
    date_format: flags.DateFormatFlag = None,
    quiet: console.Quiet = False,
    as_json: console.AsJson = False,
) -> None:
    """Group the rows that list the same product twice, however text and picture were altered."""
    from aisle.cli.summary import tell
    from aisle.data.writing import check_ending
    from aisle.search import duplicates as room

    if out is not None:
        check_ending(out)
    progress = console.progress(quiet or as_json)
    catalog = flags.open_catalog(
        source,
        column=column,
        columns=columns,
        image_root=image_root,
        max_expanded=max_expanded,
        delimiter=delimiter,
        encoding=encoding,
        date_format=date_format,
        labels=False,
    )
    tell(catalog, progress)
    groups = room.find(catalog, by, progress)  # type: ignore[arg-type]
    rows = room.to_rows(groups, catalog)
    if out is not None:
        room.write_rows(rows, out)
    if as_json:
        console.print_json({"rows": len(catalog), "groups": len(groups), "listed": rows})
        return
    spare = len(rows) - len(groups)
    console.out.print(
        f"{len(groups):,} products are listed more than once, in {len(rows):,} rows; {spare:,} too many"
    )
    _show(rows)
    console.places(groups=out)


def _show(rows: list[dict[str, Any]]) -> None:
    place = -1
    for before, row in zip([None, *rows], rows, strict=False):
        if row["group"] > _SHOWN:
            console.out.print("… (all of them: --out groups.csv)")
            return
        place = place + 1 if before and before["group"] == row["group"] else 0
        if place == 0:
            console.out.print(f"\ngroup {row['group']}: {row['size']} rows alike in {row['alike']}")
        if place < _ROWS:
            title = "".join(c if c.isprintable() else " " for c in row["title"])
            console.out.print(
                f"  row {row['row']:>7,}  {row['id']}  {title[:100]}", markup=False, soft_wrap=True
            )
        elif place == _ROWS:
            console.out.print(f"  … and {row['size'] - _ROWS:,} more")
