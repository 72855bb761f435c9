"""Finds which rows are one product. Memory: a few 8-byte numbers per row."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from aisle.data.column_parsers import as_text, pc
from aisle.data.dialects.header import Header
from aisle.data.dialects.schema import FirstRow, ProductRules
from aisle.data.records import Records
from aisle.data.source_rows import SourceRows

_MAX_DEPTH = 8  # references from a row to its parent that are followed


class RowGroups(NamedTuple):
    """The rows of n products.

    Attributes:
        rows: The product of each of m rows.
        order: (m,) int64 positions of the rows, product by product. A product's parent row comes first.
        starts: (n + 1,) int64 start of each product in `order`.
    """

    rows: SourceRows
    order: np.ndarray
    starts: np.ndarray


def group_rows(rules: ProductRules, records: Records) -> RowGroups | None:
    """Find the products of the rows.

    Args:
        rules: By what rows belong together.
        records: The m rows.

    Returns:
        The rows of each of n < m products, in the order of their first rows; None if each row is a product.
    """
    header, n = Header(records.names), len(records)
    root = np.arange(n)
    key = header.find(rules.group_by)
    if key is not None:
        root = _first_equal(_hashes(records, key))
    if rules.begins is not None:
        _continue_products(rules.begins, records, header, root)
    if rules.parent or rules.children:
        keys = _row_keys(rules, records, header)
        _follow_parents(rules, records, header, keys, root)
        _follow_children(rules, records, header, keys, root)
    for _ in range(_MAX_DEPTH):
        above = root[root]
        if (above == root).all():
            break
        root = above
    _, first, group = np.unique(root, return_index=True, return_inverse=True)
    if len(first) == n:
        return None
    by_first = np.argsort(first)
    rank = np.empty(len(first), np.int64)
    rank[by_first] = np.arange(len(first))
    product = rank[group]
    order = np.lexsort((np.arange(n), root != np.arange(n), product))
    starts = np.searchsorted(product[order], np.arange(len(first) + 1))
    rows = SourceRows(1, product, first[by_first] + 1, order[starts[:-1]] + 1)
    return RowGroups(rows, order, starts)


def _continue_products(begins: FirstRow, records: Records, header: Header, root: np.ndarray) -> None:
    """Point rows that continue a product at its first row."""
    column = header.find(begins.column)
    if column is None:
        return
    value = None if begins.value is None else begins.value.casefold()
    cells = (bool(cell) if value is None else cell.casefold() == value for cell in _cells(records, column))
    first = np.fromiter(cells, bool, len(records))
    above = np.maximum.accumulate(np.where(first, np.arange(len(first)), -1))
    rest = ~first & (above >= 0)
    root[rest] = above[rest]


class _RowKeys(NamedTuple):
    """(k,) sorted hashes of the texts that rows are named by, and the row of each."""

    hashes: np.ndarray
    rows: np.ndarray

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """The row that each hash names; -1 if there is none."""
        if not len(self.hashes):
            return np.full(len(hashes), -1)
        indices = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[indices] == hashes, self.rows[indices], -1)


def _row_keys(rules: ProductRules, records: Records, header: Header) -> _RowKeys:
    hashes, rows = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for key in rules.keys:
        column = header.find(key.column)
        if column is not None:
            found = _hashes(records, column, key.prefix)
            rows.append(np.flatnonzero(found))
            hashes.append(found[found != 0])
    unique, first = np.unique(np.concatenate(hashes), return_index=True)
    return _RowKeys(unique, np.concatenate(rows)[first])


def _follow_parents(
    rules: ProductRules, records: Records, header: Header, keys: _RowKeys, root: np.ndarray
) -> None:
    """Point rows at their parent's row, or at the first row with the same parent."""
    column = header.find(rules.parent)
    if column is None:
        return
    parents = _hashes(records, column)
    parents[parents == hash("0")] = 0  # as APIs write that there is none
    parent_rows = np.flatnonzero(parents)
    above = keys.find(parents[parent_rows])
    siblings = _first_equal(parents)[parent_rows]
    root[parent_rows] = np.where(above >= 0, above, siblings)


def _follow_children(
    rules: ProductRules, records: Records, header: Header, keys: _RowKeys, root: np.ndarray
) -> None:
    """Point the rows of variants at the row that lists them."""
    column, child = header.find(rules.children), re.compile(rules.child)
    if column is None:
        return
    for row, cell in enumerate(_cells(records, column)):
        if cell:
            names = [match.strip() for match in child.findall(cell)]
            rows = keys.find(np.array([hash(name) for name in names], np.int64))
            root[rows[(rows >= 0) & (rows != row)]] = row


def _hashes(records: Records, column: str, prefix: str = "") -> np.ndarray:
    """(n,) int64 hashes of the cells after `prefix`; 0 where blank."""
    cells = (hash(prefix + cell) or 1 if cell else 0 for cell in _cells(records, column))
    return np.fromiter(cells, np.int64, len(records))


def _cells(records: Records, column: str) -> Iterator[str]:
    """The cells of a column without blanks around them; blank where null."""
    for array in records.column(column):
        yield from pc.fill_null(pc.utf8_trim_whitespace(as_text(array)), "").to_pylist()


def _first_equal(hashes: np.ndarray) -> np.ndarray:
    """(n,) position of the first row with the same hash; a row's own where it is 0."""
    first_rows = np.arange(len(hashes))
    filled = np.flatnonzero(hashes)
    _, first, inverse = np.unique(hashes[filled], return_index=True, return_inverse=True)
    first_rows[filled] = filled[first[inverse]]
    return first_rows
