"""Writes predicted categories into a copy of the export that they were predicted for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.data import Catalog
from aisle.data.catalog_format import format_of
from aisle.data.files import TableFile
from aisle.data.paths import is_remote, to_path
from aisle.data.rewriting.files import can_rewrite
from aisle.guarantee import Prediction
from aisle.inference.known_columns import check_columns
from aisle.inference.prediction_files import OutputError, write_predictions
from aisle.inference.prediction_table import titles_of
from aisle.inference.write_back.category_format import category_format
from aisle.inference.write_back.cells import CategoryCells
from aisle.inference.write_back.decisions import DecisionLog
from aisle.inference.write_back.source_file import rewrite_catalog, source_file
from aisle.progress import SILENT, Progress
from aisle.taxonomy import format_path

if TYPE_CHECKING:
    from aisle.inference.base_predictor import BasePredictor

DECISIONS_ENDING = ".decisions.csv"


@dataclass(frozen=True)
class WriteBackSummary:
    """Counts of the written rows.

    Attributes:
        out: The filled file.
        decisions: The table of predictions beside it; None where decisions are columns of the file.
        columns: The columns that hold the category.
        products: The number of products.
        products_decided: Products that were decided automatically.
        source_rows: The number of rows.
        rows_filled: Rows with a new category; others had it, or keep what they have.
        rows_malformed: Malformed rows that were copied as they are.
        rows_unencodable: Rows whose category the encoding of the file cannot write; they were copied.
        categories_without_code: Categories that were not written, for the shop's file of codes lacks them.
    """

    out: Path
    decisions: Path | None
    columns: tuple[str, ...]
    products: int
    products_decided: int
    source_rows: int
    rows_filled: int
    rows_malformed: int
    rows_unencodable: int
    categories_without_code: tuple[str, ...] = ()


def check_write_back(files: Sequence[Path], out: Path) -> None:
    """Check that an export can be written back, before its products are classified.

    Args:
        files: The export, one file.
        out: The output file.

    Raises:
        OutputError: There are several files, their format cannot be written, `out` has another ending or is
            the export itself, or its folder does not exist.
    """
    if len(files) != 1:
        raise OutputError(f"{out}: one file at a time is written back, not {len(files)}: name one")
    (source,) = files
    table, target = TableFile(source), TableFile(out)
    if source.is_dir() or not can_rewrite(source):
        raise OutputError(
            f"{source}: a file of this kind cannot be written back; --out predictions.csv is a table"
        )
    if table.ending != target.ending:
        raise OutputError(
            f"{out}: the filled file is a copy of {source.name}: let its name end in {table.ending}"
        )
    if _is_same(source, out):
        raise OutputError(f"{out} is the export itself; name another file")
    if not is_remote(out) and not out.absolute().parent.is_dir():
        raise OutputError(f"{out}: folder {out.absolute().parent} does not exist")


def _is_same(source: Path, out: Path) -> bool:
    if is_remote(source) or is_remote(out):
        return str(source) == str(out)
    return source.exists() and out.exists() and out.samefile(source)


def write_back(
    model: "BasePredictor | Sequence[Prediction]",
    source: str | Path,
    out: str | Path,
    *,
    every: bool = False,
    precision: float | None = None,
    progress: Progress = SILENT,
    **options: Any,
) -> WriteBackSummary:
    """Classify the products of an export, and write it back with their categories filled in.

    Every other cell, the order of columns, encoding, delimiter, quotes and line ends stay as they are.

    Args:
        model: The model, or its predictions for the products of the export, in order.
        source: The export: one file.
        out: The output file, with the same ending. It is written under a temporary name and renamed.
        every: Whether each product gets its best category. Default: only products that were decided
            automatically, as deep as they were decided; the others keep what they have.
        precision: A point of the model's operating curve; by default that of its policy.
        progress: Reports progress.
        options: As for `aisle.data.read`.

    Raises:
        OutputError: The format of the source cannot be written, `out` has another ending or is the source, or
            the disk or the store refuses.
        CatalogError: The source cannot be read.
        ValueError: There are not as many predictions as products.
    """
    from aisle.data import read

    source, out = to_path(source), to_path(out)
    check_write_back([source], out)
    codes = options.get("category_file")
    codes = None if codes is None else Path(codes)
    if isinstance(model, Sequence):
        catalog = read(source, labels=False, progress=progress, **options)
        if len(model) != len(catalog):
            raise ValueError(f"{len(model):,} predictions for {len(catalog):,} products")
        return write_back_catalog(catalog, model, out, every=every, category_file=codes)
    catalog = read(source, labels=False, like=model, progress=progress, **options)
    check_columns(model, catalog)  # type: ignore[arg-type]
    with progress("classifying", len(catalog)) as advance:
        predictions = model.predict_stream(catalog, advance, precision=precision)
        return write_back_catalog(catalog, predictions, out, model, every=every, category_file=codes)


def write_back_catalog(
    catalog: Catalog,
    predictions: Iterable[Prediction],
    out: Path,
    model: Any = None,
    *,
    every: bool = False,
    category_file: Path | None = None,
) -> WriteBackSummary:
    """Copy the file that a catalog was read from, and set the category of each product.

    Args:
        catalog: The catalog, of one file.
        predictions: One prediction per product, in order.
        out: As in `write_back`.
        model: The model, whose tree and training columns tell how categories are written.
        every: As in `write_back`.
        category_file: As for `aisle.data.read`.

    Raises:
        OutputError: As `write_back`, or the catalog is not of one file.
    """
    check_write_back([file.path for file in catalog.files], out)
    log = DecisionLog(every)
    form = category_format(catalog, *source_file(catalog), format_of(model), category_file)
    table = None if form.extra_columns else out.with_name(_stem(out) + DECISIONS_ENDING)
    stream = log.added(predictions)
    if table is None:
        for _ in stream:
            pass
    else:
        write_predictions(stream, table, titles_of(catalog), None if model is None else model.taxonomy.depth)
    editor = CategoryCells(catalog, log, form)
    result = rewrite_catalog(catalog, out, editor)
    return WriteBackSummary(
        out,
        table,
        form.columns,
        len(log),
        log.decided,
        result.rows,
        result.changed,
        result.malformed,
        result.unencodable,
        tuple(sorted(format_path(category.path) for category in editor.without_code)),
    )


def _stem(file: Path) -> str:
    """The name of a file without its endings, `export.filled` of `export.filled.csv.gz`."""
    return Path(file.stem if TableFile(file).compressed else file.name).stem
