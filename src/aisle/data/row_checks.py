"""Checks of every row: ids, empty rows, images, weights and dates."""

from collections.abc import Mapping

import numpy as np

from aisle.data.column_parsers import as_text, filled, hash_cells, pc, read_dates, read_weights
from aisle.data.columns import Columns
from aisle.data.image_refs import ImageResolver
from aisle.data.problems import Problems
from aisle.data.records import Records
from aisle.data.vectors import VectorFile
from aisle.progress import SILENT, Progress


def check_rows(
    records: Records,
    images: ImageResolver,
    problems: Problems,
    vector_files: Mapping[str, VectorFile],
    since: int,
    progress: Progress = SILENT,
    *,
    whole: bool = True,
) -> None:
    """Check every row and sort the problems. A row with a fatal problem gets no further ones.

    Args:
        records: The records.
        images: Finds the images of a record; holds the column roles.
        problems: Receives what is wrong.
        vector_files: Files of vectors by name.
        since: The number of problems before labels were read.
        progress: Reports progress.
        whole: Whether the records are the whole source. If False, repeated ids, image URLs, weights and dates
            are not checked.
    """
    columns = images.columns
    broken = problems.fatal_rows()
    checks = [
        lambda: _check_ids(records, columns.id, problems, repeated=whole),
        lambda: _check_empty(records, columns, problems, _has_vector(records, columns.id, vector_files)),
        lambda: images.check(records, problems),
    ]
    if whole:
        checks += [
            lambda: images.note_urls(records, problems),
            lambda: read_weights(records, columns.weight, problems),
            lambda: read_dates(records, columns.date, problems, columns.date_format),
        ]
    with progress("checking", len(checks), "checks") as advance:
        for check in checks:
            check()
            advance(1)
    problems.remove(broken, since)
    problems.sort()


def _check_ids(records: Records, column: str | None, problems: Problems, repeated: bool) -> None:
    """Report blank ids and optionally repeated ids."""
    if column is None or not len(records):
        return
    texts = [pc.fill_null(as_text(array), "") for array in records.column(column)]
    blank = np.flatnonzero(
        np.concatenate([pc.equal(text, "").to_numpy(zero_copy_only=False) for text in texts])
    )
    for i in blank:
        problems.add(int(i) + 1, column, "no id; the row number is used instead")
    if not repeated:
        return
    hashes = np.concatenate([hash_cells(text) for text in texts])
    ordered = np.sort(hashes)
    repeated_hashes = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated_hashes):
        return
    where = np.flatnonzero(np.isin(hashes, repeated_hashes))
    first = where[np.unique(hashes[where], return_index=True)[1]]
    for i in np.setdiff1d(np.setdiff1d(where, first), blank):
        problems.add(
            int(i) + 1, column, "an earlier row has the same id", str(records.row(int(i)).get(column))
        )


def _has_vector(records: Records, ids: str | None, files: Mapping[str, VectorFile]) -> np.ndarray | None:
    """(n,) bool: whether any file holds a vector of the record; None without files."""
    if not files or ids is None:
        return None
    vectors = [
        any(str(product_id) in file for file in files.values())
        for array in records.column(ids)
        for product_id in array.to_pylist()
    ]
    return np.array(vectors, dtype=bool)


def _check_empty(
    records: Records, columns: Columns, problems: Problems, has_vector: np.ndarray | None
) -> None:
    """Report records without text, image and vector."""
    if columns.image_template is not None:
        return
    names = [*columns.text.values(), *columns.images, *columns.vectors]
    reported = set(problems.fatal_positions().tolist())  # no JSON at all, too few fields
    start = 1
    for batch in records.batches:
        has_content = np.zeros(batch.num_rows, dtype=bool)
        for name in names:
            k = batch.schema.get_field_index(name)
            if k >= 0:
                has_content |= filled(batch.column(k))
        if has_vector is not None:
            has_content |= has_vector[start - 1 : start - 1 + batch.num_rows]
        for i in np.flatnonzero(~has_content):
            if start + int(i) - 1 not in reported:
                problems.add(start + int(i), None, "the row has no text and no image", fatal=True)
        start += batch.num_rows
