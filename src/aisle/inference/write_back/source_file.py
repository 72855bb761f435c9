"""The file that a catalog was read from, copied with other cells."""

import sys
from pathlib import Path

from aisle.data import Catalog
from aisle.data.files import TableFile
from aisle.data.readers.base import ReadOptions
from aisle.data.rewriting.edits import CellEditor, RewriteSummary
from aisle.data.rewriting.files import rewrite
from aisle.inference.prediction_files import OutputError, move, refusals, scratch_beside


def source_file(catalog: Catalog) -> tuple[TableFile, ReadOptions]:
    """The one file of a catalog, and how it was read; its size is not limited again."""
    known = catalog.catalog_format
    options = ReadOptions(known.delimiter, known.encoding, max_expanded=sys.maxsize)
    return TableFile(catalog.files[0].path, sys.maxsize), options


def rewrite_catalog(catalog: Catalog, out: Path, editor: CellEditor) -> RewriteSummary:
    """Copy the file of a catalog, whole or not at all.

    Args:
        catalog: Of one file, which `check_write_back` accepts.
        out: The new file.
        editor: Gives the new cells.

    Raises:
        OutputError: The new file cannot be written, or the source changed since it was read.
    """
    table, options = source_file(catalog)
    with scratch_beside(out) as folder, refusals(out):
        part = folder / out.name
        summary = rewrite(table, part, editor, options)
        if summary.rows != len(catalog.source_rows):
            raise OutputError(f"{table.path} has changed since it was read: give the command again")
        move(part, out)
    return summary
