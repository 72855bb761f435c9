"""What each record says, found in one pass over all of them: labels, ids, pictures, weights, dates."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as _compute

from aisle.data import dates
from aisle.data.columns import Columns
from aisle.data.label_mapping import LabelMapping, map_labels, map_level_columns
from aisle.data.labels import LEVEL_MARK
from aisle.data.paths import to_path
from aisle.data.problems import Problems
from aisle.data.records import Records
from aisle.data.vectors import VectorFile
from aisle.errors import CatalogError
from aisle.taxonomy import DELIMITER, CategoryPath, Taxonomy

pc: Any = _compute  # its functions are made at run time, unknown to type checkers


class DictionaryEncoded(NamedTuple):
    """A column of n values as numbers (n,) int32 into its distinct values, in order of appearance."""

    codes: np.ndarray
    values: list[str]


def encode(arrays: Iterator[pa.Array]) -> DictionaryEncoded:
    """Distinct text and where it occurs; null counts as blank. Memory grows with what is distinct."""
    known: dict[str, int] = {}
    codes: list[np.ndarray] = []
    for array in arrays:
        coded = pc.fill_null(_as_text(array), "").dictionary_encode()
        numbers = [known.setdefault(value, len(known)) for value in coded.dictionary.to_pylist()]
        codes.append(np.array(numbers, np.int32)[coded.indices.to_numpy(zero_copy_only=False)])
    return DictionaryEncoded(np.concatenate(codes) if codes else np.empty(0, np.int32), list(known))


def _as_text(array: pa.Array) -> pa.Array:
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_null(array.type):
        return array.cast(pa.string())
    raise CatalogError(f"a column of {array.type} was given a part that needs text")


class Labels(NamedTuple):
    """n records' labels: `codes` (n,) numbers into `places`' K distinct ones, and their spellings."""

    codes: np.ndarray
    texts: list[str]
    mapping: LabelMapping


def read_labels(records: Records, columns: Columns, taxonomy: Taxonomy | None, problems: Problems) -> Labels:
    """Every record's label; what is odd about one becomes a problem of each row that has it."""
    if not columns.label:
        return no_labels(records, columns, taxonomy, problems)
    one = columns.category is not None
    name = columns.label[0] if one else " / ".join(columns.levels)
    coded = encode(records.column(name) if one else _joined(records, columns.levels))
    counts = np.bincount(coded.codes, minlength=len(coded.values))
    labels = dict(zip(coded.values, counts.tolist(), strict=True))
    if one:
        places = map_labels(labels, taxonomy, columns.delimiter, columns.separator)
    elif columns.delimiter == "":
        places = map_labels(labels, taxonomy, LEVEL_MARK, "")
    else:
        places = map_level_columns(labels, taxonomy)
    _report_labels(coded, places, name, problems)
    _report_column(coded, places, name, problems)
    return Labels(coded.codes, coded.values, places)


def no_labels(records: Records, columns: Columns, taxonomy: Taxonomy | None, problems: Problems) -> Labels:
    """The labels of records that have none, or whose labels do not matter."""
    return Labels(np.full(len(records), -1, np.int32), [], map_labels({}, taxonomy, "", ""))


def _joined(records: Records, levels: tuple[str, ...]) -> Iterator[pa.Array]:
    for arrays in zip(*(records.column(level) for level in levels), strict=True):
        filled = [pc.fill_null(_as_text(array), "") for array in arrays]
        yield pc.binary_join_element_wise(*filled, LEVEL_MARK)


def _report_labels(coded: DictionaryEncoded, places: LabelMapping, column: str, problems: Problems) -> None:
    blank = np.array([not paths for paths in places.categories], dtype=bool)
    odd = np.array([i in places.messages for i in range(len(coded.values))], dtype=bool)
    for i in np.flatnonzero(odd[coded.codes]) if odd.any() else ():
        code = int(coded.codes[i])
        problems.add(
            int(i) + 1, column, places.messages[code], coded.values[code].replace(LEVEL_MARK, DELIMITER)
        )
    if not blank.all():  # a file without any label is a file to classify
        for i in np.flatnonzero((blank & ~odd)[coded.codes]):
            problems.add(int(i) + 1, column, "no category; the row is not learned from")


def _report_column(coded: DictionaryEncoded, places: LabelMapping, column: str, problems: Problems) -> None:
    """What concerns all labels: told once."""
    if places.ancestors:
        listed = np.isin(coded.codes, list(places.ancestors))
        shown = coded.values[min(places.ancestors)].replace(LEVEL_MARK, ", ")
        rows = f"{int(listed.sum()):,} row{'s' * (int(listed.sum()) != 1)}, such as {shown}"
        problems.note(column, "ancestors of a category are listed with it; they are left out", rows)
    if places.unread_sign:
        flag = shlex.quote(f"delimiter={places.unread_sign}")
        sign = places.unread_sign.strip()
        what = f"every label holds {sign!r} and is read as one level; if it parts levels: -c {flag}"
        shown = next(text for text in coded.values if text.strip())
        problems.note(column, what, shown)


def check_ids(records: Records, column: str | None, problems: Problems, twice: bool = True) -> None:
    """Blank ids and, if `twice`, ids that an earlier record has."""
    if column is None:
        return
    import polars as pl

    hashes: list[np.ndarray] = []
    start = 1
    blanks: list[np.ndarray] = []
    for array in records.column(column):
        text = pc.fill_null(_as_text(array), "")
        hashes.append(pl.Series(pl.from_arrow(text)).hash(1).to_numpy())
        blanks.append(np.flatnonzero(pc.equal(text, "").to_numpy(zero_copy_only=False)) + start)
        start += len(array)
    if not hashes:
        return
    blank = np.concatenate(blanks)
    for row in blank:
        problems.add(int(row), column, "no id; the row is known by its number")
    if not twice:
        return
    hashed = np.concatenate(hashes)
    ordered = np.sort(hashed)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(again):
        return
    where = np.flatnonzero(np.isin(hashed, again))
    first = where[np.unique(hashed[where], return_index=True)[1]]
    for row in np.setdiff1d(np.setdiff1d(where, first) + 1, blank):
        value = str(records.row(int(row) - 1).get(column))
        problems.add(int(row), column, "an earlier row has the same id", value)


def with_vector(records: Records, ids: str | None, files: Mapping[str, VectorFile]) -> np.ndarray | None:
    """(n,) bool: which records have a vector in any of the files; None without files."""
    if not files or ids is None:
        return None
    found = [
        any(str(own) in file for file in files.values())
        for array in records.column(ids)
        for own in array.to_pylist()
    ]
    return np.array(found, dtype=bool)


def check_empty(
    records: Records, columns: Columns, problems: Problems, has_vector: np.ndarray | None = None
) -> None:
    """Records with no text, no picture and no vector: nothing to learn from or to go by.

    has_vector: (n,) those that have one in a file beside the catalogue.
    """
    names = [*columns.text.values(), *columns.images, *columns.vectors]
    told = set(problems.fatal_rows().tolist())  # no JSON at all, too few fields
    start = 1
    for batch in records.batches:
        full = np.zeros(batch.num_rows, dtype=bool)
        for name in names:
            k = batch.schema.get_field_index(name)
            if k >= 0:
                full |= filled(batch.column(k))
        if columns.image_template is not None:
            full[:] = True
        if has_vector is not None:
            full |= has_vector[start - 1 : start - 1 + batch.num_rows]
        for i in np.flatnonzero(~full):
            if start + int(i) not in told:
                problems.add(start + int(i), None, "nothing to go by: no text and no picture", fatal=True)
        start += batch.num_rows


def filled(array: pa.Array) -> np.ndarray:
    """(n,) bool: which cells hold something that is not blank."""
    if pa.types.is_string(array.type):
        present = pc.not_equal(pc.utf8_trim_whitespace(array), "")
    elif pa.types.is_list(array.type):
        present = pc.greater(pc.list_value_length(array), 0)
    elif pa.types.is_binary(array.type):
        present = pc.greater(pc.binary_length(array), 0)
    else:
        present = array.is_valid()
    return pc.fill_null(present, False).to_numpy(zero_copy_only=False)


def read_weights(records: Records, column: str | None, problems: Problems) -> np.ndarray | None:
    """(n,) float64 weights; None without the column. A cell that is no weight counts as 1."""
    if column is None:
        return None
    coded = encode(records.column(column))
    values = np.array([weight_of(text) for text in coded.values] or [1.0])
    out = values[coded.codes]
    for i in np.flatnonzero(np.isnan(out)):
        problems.add(
            int(i) + 1, column, "not a weight (a number, 0 or more); read as 1", coded.values[coded.codes[i]]
        )
    return np.where(np.isnan(out), 1.0, out)


def weight_of(text: str) -> float:
    """A number that is finite and not negative (blank: 1), else not-a-number."""
    try:
        value = float(text) if text.strip() else 1.0
    except ValueError:
        return np.nan
    return value if 0 <= value < np.inf else np.nan


def read_dates(
    records: Records, column: str | None, problems: Problems, form: str | None = None
) -> dates.Dates | None:
    """n dates of the column, NaT where blank or unreadable; None without the column.

    form: how they are written, as `strptime` says it; None: found over the column.

    Raises:
        CatalogError: the form is none.
    """
    if column is None:
        return None
    coded = encode(records.column(column))
    found = dates.read(coded.values or [""], form)
    values, among = found.values[coded.codes], found.among[coded.codes]
    if found.unclear:
        problems.add(None, column, f"the order of day and month is unclear: {found.unclear}")
    what = f"not a date as {form} says" if form else "not a date; write it as 2026-03-31"
    for i in np.flatnonzero(np.isnat(values) & ~among):
        text = coded.values[coded.codes[i]]
        if text.strip():
            problems.add(int(i) + 1, column, what, text)
    return dates.Dates(values, found.unclear, among)


def resolve_root(root: str | Path | None, source: Path | None) -> Path:
    """The folder that picture paths are relative to: as given, else where the catalogue lies."""
    if root is not None:
        return to_path(root)
    if source is None:
        return Path()
    return source if source.is_dir() else source.parent


def labels_from_values(labels: Sequence[CategoryPath | str | None], taxonomy: Taxonomy | None) -> Labels:
    """Labels given as paths or ids rather than read from a file."""
    texts = ["" if v is None else v if isinstance(v, str) else LEVEL_MARK.join(v) for v in labels]
    known: dict[str, int] = {}
    codes = np.array([known.setdefault(text, len(known)) for text in texts], np.int32)
    counts = np.bincount(codes, minlength=len(known)).tolist()
    places = map_labels(dict(zip(known, counts, strict=True)), taxonomy, LEVEL_MARK, "")
    return Labels(codes, list(known), places)
