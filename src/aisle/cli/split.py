"""`aisle split`: assigns each row to a split."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, LabelledCatalogOptions, Quiet, Seed, Source
from aisle.errors import CatalogError

if TYPE_CHECKING:
    from aisle.data import Catalog


class SplitMethod(StrEnum):
    """How rows are assigned to splits."""

    RANDOM = "random"
    TIME = "time"


@command("split", "Split a catalog, at random or by time.", section="Catalog")
def split(
    source: Source,
    options: LabelledCatalogOptions,
    out: Annotated[
        Path,
        typer.Option(help="Output file, the rows with a `split` column: .csv, .tsv, .jsonl or .parquet."),
    ],
    parts: Annotated[
        str,
        typer.Option(metavar="NAME=SHARE,…", help="The splits; by time, the oldest rows are in the first."),
    ] = "train=0.8,test=0.2",
    by: Annotated[
        SplitMethod, typer.Option(help="random: stratified by category; time: in order of the date column.")
    ] = SplitMethod.RANDOM,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Split a catalog for training and evaluation. Rows of the same or nearly the same product (by text,
    first image or `group` column) stay together. Rows that cannot be used get no split."""
    import numpy as np

    from aisle.data import splits
    from aisle.data.writing import check_output, write_rows

    names, shares = _parts(parts)
    check_output(out)
    progress = console.progress(quiet or as_json)
    catalog = options.read(source, splits=False, progress=progress)
    check_output(out, catalog)
    in_time = by is SplitMethod.TIME
    rows = splits.split_by_time(catalog, shares) if in_time else splits.split(catalog, shares, seed)
    assigned = np.full(len(catalog), "", dtype=object)
    for name, part_rows in zip(names, rows, strict=True):
        assigned[part_rows] = name
    write_rows(catalog, out, {catalog.columns.split or "split": assigned})
    part_summaries = [_part(catalog, name, part_rows) for name, part_rows in zip(names, rows, strict=True)]
    if as_json:
        console.print_json({"file": str(out), "by": by.value, "parts": part_summaries})
        return
    for part in part_summaries:
        dates = f", {part['first']} to {part['last']}" if by is SplitMethod.TIME and part["last"] else ""
        console.out.print(f"{part['name']:<12} rows {part['rows']:>9,}, classes {part['classes']:>6,}{dates}")
    left = len(catalog) - sum(map(len, rows))
    if left:
        console.say(f"rows that cannot be used, in no split: {left:,} (`aisle check {source}`)", quiet)
    root = catalog.image_root
    is_elsewhere = root is not None and root.absolute() != out.absolute().parent
    moved_root = ("--image-root", root) if is_elsewhere else ()
    console.print_paths(file=out, next=console.command("train", out, *moved_root))


def _parts(text: str) -> tuple[list[str], list[float]]:
    """`train=0.8,test=0.2` -> names and shares.

    Raises:
        CatalogError: The text is not of that form.
    """
    from aisle.data.split_names import SPLITS, parse_split

    names, shares = [], []
    for part in text.split(","):
        name, sign, share = part.partition("=")
        try:
            shares.append(float(share))
        except ValueError:
            sign = ""
        known = parse_split(name)
        if sign and name.strip() and not known:
            raise CatalogError(f"--parts {text!r}: {name.strip()!r} is not a split; use {', '.join(SPLITS)}")
        if not sign or not known or known in names:
            raise CatalogError(f"--parts {text!r}: write each split once as NAME=SHARE, train=0.8,test=0.2")
        names.append(known)
    return names, shares


def _part(catalog: "Catalog", name: str, rows: Any) -> dict[str, Any]:
    """Rows, classes and dates of one split."""
    import numpy as np

    part = catalog.select(rows)
    node, dates = part.targets().node, part.dates
    known = np.empty(0, "datetime64[s]") if dates is None else dates[~np.isnat(dates)]
    first, last = (str(known.min())[:10], str(known.max())[:10]) if len(known) else (None, None)
    classes = len(np.unique(node[node >= 0]))
    return {"name": name, "rows": len(rows), "classes": classes, "first": first, "last": last}
