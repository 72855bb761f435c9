"""Writes predicted categories into a copy of the export that they were predicted for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aisle.data import Catalog
from aisle.data.files import TableFile
from aisle.data.readers.base import ReadOptions
from aisle.data.rewriting.edits import RewriteSummary
from aisle.data.rewriting.files import can_rewrite, rewrite
from aisle.guarantee import Prediction
from aisle.inference.prediction_files import OutputError, move, refusals, scratch_beside, write_predictions
from aisle.inference.prediction_table import titles_of
from aisle.inference.write_back.cells import EXTRA_COLUMNS, CategoryCells, CategoryFormat, category_format
from aisle.inference.write_back.decisions import DecisionLog

DECISIONS_ENDING = ".decisions.csv"


@dataclass(frozen=True)
class WriteBackSummary:
    """What was written.

    Attributes:
        out: The filled file.
        decisions: The table of predictions beside it; None where decisions are columns of the file.
        columns: The columns that were filled.
        rows: All rows of the file.
        filled: Rows with a new category.
        products: All products.
        decided: Products that were decided automatically.
        malformed: Rows that are damaged and were copied as they are.
        unencodable: Rows whose category the encoding of the file cannot write; they were copied.
    """

    out: Path
    decisions: Path | None
    columns: tuple[str, ...]
    rows: int
    filled: int
    products: int
    decided: int
    malformed: int
    unencodable: int


def check_write_back(source: Path, out: Path) -> None:
    """Check that an export can be written back, before its products are classified.

    Args:
        source: The export.
        out: The output file.

    Raises:
        OutputError: Its format cannot be written, `out` has another ending or is the export itself, or its
            folder does not exist.
    """
    table, target = TableFile(source), TableFile(out)
    if source.is_dir() or not can_rewrite(source):
        raise OutputError(f"{source}: cannot be written back; name --out predictions.csv for a table")
    if table.ending != target.ending:
        raise OutputError(f"{out}: the filled file is a copy of {source.name}: let its name end in {table.ending}")
    if out.exists() and out.samefile(source):
        raise OutputError(f"{out} is the export itself; name another file")
    if isinstance(out, Path) and not out.absolute().parent.is_dir():
        raise OutputError(f"{out}: folder {out.absolute().parent} does not exist")


def write_back_catalog(
    catalog: Catalog,
    predictions: Iterable[Prediction],
    out: Path,
    *,
    trained_roles: dict[str, Any] | None = None,
    levels: int | None = None,
    every: bool = False,
    max_expanded: int | None = None,
) -> WriteBackSummary:
    """Copy the file that a catalog was read from, and set the category of each product.

    Args:
        catalog: The catalog, of one file.
        predictions: One prediction per product, in order.
        out: The output file, with the same ending. It is written under a temporary name and renamed.
        trained_roles: The column roles of the model's training catalog.
        levels: The number of levels of the tree, for the table of decisions.
        every: Whether each product gets its best category. Default: only those that were decided get one, as
            deep as they were decided; the others keep theirs.
        max_expanded: Bytes that a compressed file may unpack to.

    Raises:
        OutputError: As `check_write_back`; or the disk or the store refuses.
        CatalogError: The catalog is not of one file.
    """
    if len(catalog.files) != 1:
        raise OutputError("only one file can be written back: name it alone")
    source = catalog.files[0].path
    check_write_back(source, out)
    form, log = category_format(catalog, trained_roles or {}), DecisionLog(every)
    table = None if form.extra_columns else out.with_name(_stem(out) + DECISIONS_ENDING)
    stream = log.added(predictions)
    if table is None:
        for _ in stream:
            pass
    else:
        write_predictions(stream, table, titles_of(catalog), levels)
    read_with = catalog.catalog_format
    options = ReadOptions(read_with.delimiter, read_with.encoding, max_expanded=max_expanded)
    with scratch_beside(out) as folder, refusals(out):
        part = folder / out.name
        done = rewrite(TableFile(source, max_expanded), part, CategoryCells(catalog, log, form), options)
        move(part, out)
    return _summary(out, table, form, log, done)


def _stem(file: Path) -> str:
    """The name of a file without its endings, `export.filled` of `export.filled.csv.gz`."""
    table = TableFile(file)
    return Path(file.stem if table.compressed else file.name).stem


def _summary(
    out: Path, table: Path | None, form: CategoryFormat, log: DecisionLog, done: RewriteSummary
) -> WriteBackSummary:
    return WriteBackSummary(
        out,
        table,
        (*form.columns, *(EXTRA_COLUMNS if form.extra_columns else ())),
        done.rows,
        done.changed,
        len(log),
        log.decided,
        done.malformed,
        done.unencodable,
    )
