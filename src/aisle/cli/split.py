"""`aisle split`: say of each row which part it belongs to."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import CatalogError

if TYPE_CHECKING:
    from aisle.data import Catalog


class By(StrEnum):
    """What decides where a row goes."""

    RANDOM = "random"
    TIME = "time"


def split(
    source: flags.Source,
    out: Annotated[
        Path, typer.Option(help="The same rows and their `split`: .csv, .tsv, .jsonl or .parquet.")
    ],
    parts: Annotated[
        str, typer.Option(metavar="NAME=SHARE,…", help="The parts; by time, the oldest rows in the first.")
    ] = "train=0.8,test=0.2",
    by: Annotated[
        By, typer.Option(help="random: stratified by category; time: in order of the date column.")
    ] = By.RANDOM,
    seed: Annotated[int, typer.Option(help="Another seed, another random split.")] = 0,
    taxonomy: flags.TaxonomyFlag = None,
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
    """Part a catalogue for training and judging: rows that show the same product, or nearly (by their words,
    first picture or `group` column), stay on one side. Rows that cannot be used get no part."""
    import numpy as np

    from aisle.data import splits
    from aisle.data.writing import check_ending, write_rows

    names, shares = _parts(parts)
    check_ending(out)
    progress = console.progress(quiet or as_json)
    catalog = flags.open_catalog(
        source,
        taxonomy=taxonomy,
        column=column,
        columns=columns,
        image_root=image_root,
        max_expanded=max_expanded,
        delimiter=delimiter,
        encoding=encoding,
        date_format=date_format,
        splits=False,  # it is made anew
        progress=progress,
    )
    check_ending(out, catalog)
    in_time = by is By.TIME
    rows = splits.split_by_time(catalog, shares) if in_time else splits.split(catalog, shares, seed)
    given = np.full(len(catalog), "", dtype=object)
    for name, some in zip(names, rows, strict=True):
        given[some] = name
    write_rows(catalog, out, catalog.columns.split or "split", given)
    found = [_part(catalog, name, some) for name, some in zip(names, rows, strict=True)]
    if as_json:
        console.print_json({"file": str(out), "by": by.value, "parts": found})
        return
    for part in found:
        dates = f", {part['first']} to {part['last']}" if by is By.TIME and part["last"] else ""
        console.out.print(f"{part['name']:<12} rows {part['rows']:>9,}, classes {part['classes']:>6,}{dates}")
    left = len(catalog) - sum(map(len, rows))
    if left:
        console.say(f"rows that cannot be used, in no part: {left:,} (`aisle check {source}`)", quiet)
    root = catalog.image_root
    moved = root is not None and root.absolute() != out.absolute().parent
    moved_root = ("--image-root", root) if moved else ()
    console.places(file=out, next=console.command("train", out, *moved_root))


def _parts(text: str) -> tuple[list[str], list[float]]:
    """`train=0.8,test=0.2` -> names and shares.

    Raises:
        CatalogError: it is not written so.
    """
    from aisle.data.split_names import SPLITS, parse_split

    names, shares = [], []
    for piece in text.split(","):
        name, sign, share = piece.partition("=")
        try:
            shares.append(float(share))
        except ValueError:
            sign = ""
        known = parse_split(name)
        if sign and name.strip() and not known:
            raise CatalogError(f"--parts {text!r}: {name.strip()!r} names no split; use {', '.join(SPLITS)}")
        if not sign or not known or known in names:
            raise CatalogError(f"--parts {text!r}: write each part once as NAME=SHARE, train=0.8,test=0.2")
        names.append(known)
    return names, shares


def _part(catalog: "Catalog", name: str, rows: Any) -> dict[str, Any]:
    """What one part holds."""
    import numpy as np

    some = catalog.select(rows)
    node, dates = some.targets().node, some.dates
    known = np.empty(0, "datetime64[s]") if dates is None else dates[~np.isnat(dates)]
    first, last = (str(known.min())[:10], str(known.max())[:10]) if len(known) else (None, None)
    classes = len(np.unique(node[node >= 0]))
    return {"name": name, "rows": len(rows), "classes": classes, "first": first, "last": last}
