"""Reads the label of every record, and reports unusual labels."""

import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from aisle.data.column_parsers import DictionaryEncoded, as_text, encode, pc
from aisle.data.columns import Columns
from aisle.data.label_mapping import LabelMapping, map_label_columns, map_labels
from aisle.data.labels import LEVEL_MARK
from aisle.data.problems import Problems
from aisle.data.records import Records
from aisle.data.title_levels import without_titles
from aisle.taxonomy import DELIMITER, CategoryPath, Taxonomy


class Labels(NamedTuple):
    """The labels of n records.

    Attributes:
        codes: (n,) int32 positions in `texts`; -1 where labels were not read.
        texts: The K distinct labels as they are written.
        mapping: The categories of the K labels.
    """

    codes: np.ndarray
    texts: list[str]
    mapping: LabelMapping


def read_labels(records: Records, columns: Columns, taxonomy: Taxonomy | None, problems: Problems) -> Labels:
    """Read the label of every record. A label's problem is reported for each of its rows."""
    if not columns.label:
        return no_labels(records, columns, taxonomy, problems)
    single_column = columns.category is not None
    name = columns.label[0] if single_column else " / ".join(columns.levels)
    coded = encode(records.column(name) if single_column else _join_levels(records, columns.levels))
    counts = np.bincount(coded.codes, minlength=len(coded.values))
    labels = dict(zip(coded.values, counts.tolist(), strict=True))
    if single_column:
        mapping = map_labels(labels, taxonomy, columns.delimiter, columns.separator)
        titles = _titles(records, columns, len(labels))
        shorter = None if titles is None else without_titles(coded, mapping.categories, titles)
        if shorter is not None:
            problems.note(name, "the last level repeats the title; it is left out", coded.values[0])
            coded = shorter
            counts = np.bincount(coded.codes, minlength=len(coded.values))
            labels = dict(zip(coded.values, counts.tolist(), strict=True))
            mapping = map_labels(labels, taxonomy, LEVEL_MARK, "")._replace(style=mapping.style)
    elif columns.delimiter == "":
        mapping = map_labels(labels, taxonomy, LEVEL_MARK, "")
    else:
        mapping = map_label_columns(labels, taxonomy)
    _report_rows(coded, mapping, name, problems)
    _report_column(coded, mapping, name, problems)
    return Labels(coded.codes, coded.values, mapping)


def _titles(records: Records, columns: Columns, labels: int) -> list[str | None] | None:
    """The title of every record; None without titles, and where many records share a label."""
    if columns.title is None or columns.title == columns.category or labels < len(records) / 4:
        return None
    return [text for array in records.column(columns.title) for text in as_text(array).to_pylist()]


def no_labels(records: Records, columns: Columns, taxonomy: Taxonomy | None, problems: Problems) -> Labels:
    """The labels of records whose labels are absent or not read; takes what `read_labels` takes."""
    return Labels(np.full(len(records), -1, np.int32), [], map_labels({}, taxonomy, "", ""))


def labels_from_values(values: Sequence[CategoryPath | str | None], taxonomy: Taxonomy | None) -> Labels:
    """Labels passed as paths or ids instead of a column."""
    texts = ["" if v is None else v if isinstance(v, str) else LEVEL_MARK.join(v) for v in values]
    known: dict[str, int] = {}
    codes = np.array([known.setdefault(text, len(known)) for text in texts], np.int32)
    counts = np.bincount(codes, minlength=len(known)).tolist()
    mapping = map_labels(dict(zip(known, counts, strict=True)), taxonomy, LEVEL_MARK, "")
    return Labels(codes, list(known), mapping)


def _join_levels(records: Records, levels: tuple[str, ...]) -> Iterator[pa.Array]:
    for arrays in zip(*(records.column(level) for level in levels), strict=True):
        cells = [pc.fill_null(as_text(array), "") for array in arrays]
        yield pc.binary_join_element_wise(*cells, LEVEL_MARK)


def _report_rows(coded: DictionaryEncoded, mapping: LabelMapping, column: str, problems: Problems) -> None:
    blank = np.array([not paths for paths in mapping.categories], dtype=bool)
    unusual = np.array([i in mapping.messages for i in range(len(coded.values))], dtype=bool)
    for i in np.flatnonzero(unusual[coded.codes]) if unusual.any() else ():
        code = int(coded.codes[i])
        text = coded.values[code].replace(LEVEL_MARK, DELIMITER)
        problems.add(int(i) + 1, column, mapping.messages[code], text)
    if not blank.all():  # a file without any label is to be classified
        for i in np.flatnonzero((blank & ~unusual)[coded.codes]):
            problems.add(int(i) + 1, column, "no category; the row is not trained on")


def _report_column(coded: DictionaryEncoded, mapping: LabelMapping, column: str, problems: Problems) -> None:
    """Report problems of all labels once."""
    if mapping.ancestors:
        count = int(np.isin(coded.codes, list(mapping.ancestors)).sum())
        example = coded.values[min(mapping.ancestors)].replace(LEVEL_MARK, ", ").replace("\n", ", ")
        rows = f"{count:,} row{'s' * (count != 1)}, such as {example}"
        problems.note(column, "ancestors of a category are listed with it; they are left out", rows)
    if mapping.unread_sign:
        flag, sign = shlex.quote(f"delimiter={mapping.unread_sign}"), mapping.unread_sign.strip()
        message = f"every label holds {sign!r} and is read as one level; if it separates levels: -c {flag}"
        problems.note(column, message, next(text for text in coded.values if text.strip()))
