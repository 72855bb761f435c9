"""Reading a catalog: detect the source, parse its records, find columns, read labels, check every row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aisle.data.catalog import Catalog
from aisle.data.catalog_data import CatalogData
from aisle.data.catalog_format import CatalogFormat, format_of
from aisle.data.column_resolution import resolve_columns
from aisle.data.columns import Columns, parse_columns
from aisle.data.dates import parse_date_format
from aisle.data.dialects import Dialect
from aisle.data.label_reading import no_labels, read_labels
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions
from aisle.data.records import spill
from aisle.data.row_checks import check_rows
from aisle.data.shop_exports import choose_dialect, export_roles, format_to_keep, open_export
from aisle.data.source_rows import SourceRows
from aisle.data.sources import Source, open_source
from aisle.data.vectors import check_vector_files, open_vectors
from aisle.progress import Progress
from aisle.progress_bars import choose_progress
from aisle.taxonomy import Taxonomy, read_tree


def read(
    source: Source,
    *,
    taxonomy: str | Path | Taxonomy | None = None,
    columns: Mapping[str, Any] | Columns | str | Path | None = None,
    image_root: str | Path | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    labels: bool = True,
    splits: bool = True,
    vectors: Mapping[str, str | Path] | None = None,
    strict: bool = False,
    like: Any = None,
    format: str | Path | Dialect | None = None,
    category_file: str | Path | None = None,
    max_expanded: int | None = None,
    image_files: bool = True,
    progress: Progress | bool | None = None,
) -> Catalog:
    """Read a catalog.

    Args:
        source: A CSV, TSV, JSONL or Parquet file (`.gz`, `.bz2`, `.xz`, `.zst`), a folder of them, a folder
            of images in class folders, several files, an Arrow table, a data frame (pandas, polars), rows as
            mappings or `Product`s, or `-` for standard input.
        taxonomy: The category tree, or a file that holds one. Default: the labels make the tree.
        columns: The column roles that names do not tell: a mapping, or a TOML file.
        image_root: The folder that image paths are relative to. Default: the folder of the file.
        delimiter: The field delimiter of a CSV file. Default: detected.
        encoding: The text encoding. Default: detected.
        date_format: How dates are written, such as `%d/%m/%Y`. Default: detected.
        labels: If False, categories are not read, and no row has one.
        splits: If False, the split column is not checked.
        vectors: Files of precomputed vectors by name (HDF5, NumPy, Parquet), matched by product id.
        strict: Raise the first problem.
        like: A model or a catalog whose columns, separators and encoding this source has too, as far as it
            has those columns.
        format: How a shop's platform writes the source: the name of a dialect (`shopify`), a TOML file, or
            `none` for a plain table. Default: recognised by its columns. Rows in memory that are read without
            labels stay rows; each has what its product has.
        category_file: The file that gives codes of categories their names, such as Akeneo's category export.
            Default: looked for beside the source.
        max_expanded: Bytes that a compressed file may unpack to. Default: 100 times its size, or 64 MiB.
        image_files: If False, no image file is opened or looked for, whatever its cells name: only encoded
            images in the source itself are images. For files of people who may not read this machine's.
        progress: True to show progress on standard error. Default: a bar in notebooks only.

    Returns:
        The catalog. Every record is a row; its `problems` list what is wrong with them.

    Raises:
        CatalogError: The source cannot be read, a named column is missing, the split column has unknown
            values, or, if strict, a record has a problem.
        SourceTypeError: A `TypeError`: a catalog is not read from such an object.
        TaxonomyError: The category tree cannot be read.
    """
    progress = choose_progress(progress)
    user_columns, previous = parse_columns(columns), format_of(like)
    if date_format is not None:
        user_columns["date_format"] = parse_date_format(date_format)
    options = ReadOptions(delimiter, encoding, previous, {}, max_expanded)
    problems = Problems()
    tree, vector_files = _read_taxonomy(taxonomy, problems), open_vectors(vectors)
    problems.strict = strict  # concerns the rows; the owner of a published tree is someone else
    with open_source(source, options) as opened:
        records, files = opened.load(problems, progress)
        tree, known = tree or opened.taxonomy(), opened.columns(records)
        root, rows, dialect = opened.image_root(image_root), SourceRows(), None
        codes: Mapping[str, tuple[str, ...]] = {}
        source_records = records
        if format is not None or not known:
            dialect = choose_dialect(format, previous, records.names)
        row_wise = not opened.has_files and not labels  # a prediction for each row that was passed
        if dialect is not None:
            export = open_export(dialect, records, opened.home, category_file, opened.file, previous)
            records, rows, codes = spill(export.batches()), export.rows, export.category_names or {}
            if row_wise:
                records, rows = records.repeat(rows.product), SourceRows()
            problems.number_by(rows)
            known = export_roles(export, records, user_columns, previous, tree)
        else:
            known = known | user_columns
        resolved = resolve_columns(records, known, root, problems, previous, tree, labels, image_files)
        records, images = resolved.records, resolved.images
        check_vector_files(vector_files, records.types, resolved.columns.id)
        since, reader = len(problems), read_labels if labels else no_labels
        found = reader(records, resolved.columns, tree, problems)
        check_rows(records, images, problems, vector_files, since, progress, whole=not row_wise)
    user_format = CatalogFormat(
        {**(previous.given if previous else {}), **user_columns},
        delimiter=(options.detected or {}).get("delimiter"),
        encoding=(options.detected or {}).get("encoding"),
        dialect=format_to_keep(format, dialect),
    )
    catalog = Catalog(
        CatalogData(
            records,
            resolved.columns,
            found,
            problems,
            images,
            files,
            vector_files,
            source_rows=rows,
            user_format=user_format,
            dialect=dialect,
            source_records=source_records,
            category_codes=codes,
        )
    )
    if labels and splits:
        catalog.check_split()
    return catalog


def _read_taxonomy(taxonomy: str | Path | Taxonomy | None, problems: Problems) -> Taxonomy | None:
    if taxonomy is None or isinstance(taxonomy, Taxonomy):
        return taxonomy
    tree, odd = read_tree(taxonomy)
    for problem in odd:
        problems.add(None, "taxonomy", problem.message, problem.value)
    return tree
