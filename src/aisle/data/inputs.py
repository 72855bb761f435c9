"""What `predict` accepts: tables, files, rows, titles, or a single product."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from aisle.data.catalog import Catalog
from aisle.data.data_frames import column_values, pandas_index
from aisle.data.paths import is_path
from aisle.data.product import Product
from aisle.data.reading import read
from aisle.data.sources import Row, Source
from aisle.errors import CatalogError, SourceTypeError
from aisle.progress import SILENT, Progress

PredictSource = Source | Catalog | Iterable[str | Row]

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.I)  # a file in another file system
_FILE_NAME = re.compile(r"\S+\.(csv|tsv|jsonl?|ndjson|parquet|xlsx?|ods|xml)(\.(gz|bz2|xz|zst))?", re.I)


class Inputs(NamedTuple):
    """Products to predict.

    Attributes:
        products: B products.
        single: Whether one product was given by itself, so that one prediction is returned.
        index: The index of a pandas frame or series; None elsewhere.
    """

    products: Catalog | list[Product]
    single: bool = False
    index: Any = None


def read_inputs(source: PredictSource, like: Any, progress: Progress = SILENT) -> Inputs:
    """Read products to predict.

    A string that names an existing file, or an address such as `s3://…`, is read as a file; any other string
    is a title. The same holds for several strings: they are files if all of them name one.

    Args:
        source: A catalog, a data frame, an Arrow table, a file, a folder (`Path`), several files, rows as
            mappings, `Product`s or titles; or one mapping, product or title.
        like: The model; its catalog format says what columns mean.
        progress: Reports progress over a file.

    Raises:
        SourceTypeError: The source is something else.
        CatalogError: It cannot be read, or a string is the name of a table that does not exist.
    """
    if isinstance(source, Catalog):
        return Inputs(source)
    if isinstance(source, Product):
        return Inputs([source], single=True)
    if isinstance(source, str) and not names_file(source):
        return Inputs(_title_products([source]), single=True)
    index, values = pandas_index(source), _values(source)
    if values is not None:
        if values and all(isinstance(value, Product) for value in values):
            return Inputs(values, index=index)
        if _are_titles(values):
            return Inputs(_title_products(values), index=index)
        source = values
    elif isinstance(source, np.ndarray):
        raise SourceTypeError(f"products are not read from an array of {source.ndim} dimensions")
    catalog = read(source, like=like, labels=False, progress=progress)
    return Inputs(catalog, isinstance(source, Mapping), index)


def names_file(text: str) -> bool:
    """Whether a string names an existing file, or a file in another file system.

    Raises:
        CatalogError: It is the name of a table that does not exist.
    """
    if _ADDRESS.fullmatch(text):
        return True
    try:
        exists = os.path.isfile(text)
    except ValueError:  # a null character
        return False
    if not exists and _FILE_NAME.fullmatch(text):
        raise CatalogError(f"{text}: no such file (to classify this text, pass {{'title': …}})")
    return exists


def _values(source: Any) -> list[Any] | None:
    """The items of a column, list or stream of rows; None for tables, files and single rows."""
    values = column_values(source)
    if values is not None or isinstance(source, np.ndarray):
        return values
    if hasattr(source, "__arrow_c_stream__") or is_path(source):
        return None
    unordered = isinstance(source, Mapping | bytes | set | frozenset)
    return list(source) if isinstance(source, Iterable) and not unordered else None


def _are_titles(values: list[Any]) -> bool:
    """Whether all values are strings or missing, and the strings are not names of files."""
    texts = [value for value in values if isinstance(value, str)]
    all_texts = bool(values) and len(texts) + sum(value is None for value in values) == len(values)
    return all_texts and not (texts and all(map(names_file, texts)))


def _title_products(titles: list[str | None]) -> list[Product]:
    return [Product(str(row), {"title": title} if title else {}) for row, title in enumerate(titles, 1)]
