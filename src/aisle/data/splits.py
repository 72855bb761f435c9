"""Splits and folds of a catalog: seeded, stratified, with duplicates in one part."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.data.catalog import Catalog
from aisle.data.duplicates import members
from aisle.errors import CatalogError


class Leak(NamedTuple):
    """Rows (positions in the catalog) of one product in different splits."""

    group: int
    rows: np.ndarray
    splits: tuple[str, ...]


def split(catalog: Catalog, fractions: Sequence[float], seed: int = 0) -> list[np.ndarray]:
    """Sorted row positions of each part; together they are all rows but fatal ones.

    Every class is divided by the fractions, to the row. Rows of one group (`Catalog.groups`: near-duplicates)
    stay together.

    Args:
        catalog: The catalog.
        fractions: The share of each part; they sum to 1.
        seed: The random seed.

    Raises:
        CatalogError: The fractions are negative or do not sum to 1.
    """
    shares = _shares(fractions)
    part = assign(catalog.targets().node, catalog.groups(), shares, seed)
    usable = ~catalog.fatal
    return [np.flatnonzero((part == k) & usable) for k in range(len(shares))]


def folds(catalog: Catalog, k: int = 5, seed: int = 0) -> np.ndarray:
    """(n,) fold numbers 0 to k - 1, stratified, rows of one group in one fold; -1 for fatal rows.

    Raises:
        CatalogError: There are fewer than two folds.
    """
    if k < 2:
        raise CatalogError(f"{k} folds: at least 2 are needed")
    part = assign(catalog.targets().node, catalog.groups(), np.full(k, 1 / k), seed)
    return np.where(catalog.fatal, -1, part)


def assign(node: np.ndarray, groups: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """(n,) part numbers, by error diffusion.

    Rows are sorted by class (in tree order, from a random class on, shuffled within). Each group goes to the
    part that is then furthest below its share. So every class and branch holds its shares to one row (or
    one group); this includes classes of one row.

    Args:
        node: (n,) the class of each row; -1 is a class like any other.
        groups: (n,) group numbers from 0.
        shares: The share of each part.
        seed: The random seed.
    """
    n, rng = len(node), np.random.default_rng(seed)
    part = np.empty(n, dtype=np.int64)
    if not n:
        return part
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    stops = np.append(starts[1:], n)
    label = node[order[starts]]  # a group is sorted by the class of its first row
    rotated = (label - rng.choice(label)) % (label.max() + 2)
    deficit = rng.random(len(shares)) * (shares > 0)
    deficit -= deficit.sum() * shares
    for g in np.lexsort((rng.permutation(len(starts)), rotated)):
        rows = order[starts[g] : stops[g]]
        deficit += shares * len(rows)
        best = int(np.argmax(np.where(shares > 0, deficit, -np.inf)))
        deficit[best] -= len(rows)
        part[rows] = best
    return part


def split_by_time(catalog: Catalog, fractions: Sequence[float]) -> list[np.ndarray]:
    """Parts in order of date, the oldest rows first.

    A group goes where its newest row goes, so that no product of a later part is in an earlier one. Undated
    rows count as the oldest.

    Args:
        catalog: The catalog.
        fractions: The share of each part; they sum to 1.

    Returns:
        Sorted row positions of each part.

    Raises:
        CatalogError: There is no date column, no date in it, or the fractions do not sum to 1.
    """
    shares, usable = _shares(fractions), np.flatnonzero(~catalog.fatal)
    part = assign_by_time(dates_of(catalog)[usable], catalog.groups()[usable], shares)
    return [usable[part == k] for k in range(len(shares))]


def dates_of(catalog: Catalog) -> np.ndarray:
    """(n,) datetime64[s] of the date column.

    Raises:
        CatalogError: There is none, it has no date, or the order of day and month is unclear.
    """
    dates = catalog.dates
    if dates is None:
        raise CatalogError("a split by time needs a date column; name it with -c date=COLUMN")
    if catalog.date_ambiguity:
        raise CatalogError(
            f"a split by time needs dates; column {catalog.columns.date!r}: {catalog.date_ambiguity}"
        )
    if np.isnat(dates).all():
        raise CatalogError(f"a split by time needs dates; column {catalog.columns.date!r} holds none")
    return dates


def assign_by_time(when: np.ndarray, groups: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(n,) part numbers in order of date.

    Args:
        when: (n,) datetime64; NaT counts as the oldest.
        groups: (n,) group numbers from 0. A group goes where its newest row goes.
        shares: The share of each part, the oldest rows first.
    """
    seconds = when.astype("datetime64[s]").astype(np.int64)  # NaT is the smallest number
    newest = np.full(groups.max(initial=-1) + 1, np.iinfo(np.int64).min)
    np.maximum.at(newest, groups, seconds)
    order = np.lexsort((np.arange(len(when)), groups, newest[groups]))
    edges = np.round(np.cumsum(shares)[:-1] * len(order)).astype(int)
    for k, edge in enumerate(edges):  # an edge inside a group moves to its end
        while 0 < edge < len(order) and groups[order[edge]] == groups[order[edge - 1]]:
            edge += 1
        edges[k] = edge
    part = np.empty(len(order), np.int64)
    part[order] = np.searchsorted(edges, np.arange(len(order)), side="right")
    return part


def _shares(fractions: Sequence[float]) -> np.ndarray:
    shares = np.asarray(fractions, dtype=float)
    if (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise CatalogError(f"split fractions {list(fractions)} must not be negative and must sum to 1")
    return shares


def leakage(catalog: Catalog, *, near: bool = False) -> list[Leak]:
    """Groups with rows in several splits of the split column; none without such a column.

    Args:
        catalog: The catalog.
        near: Whether near-duplicates form groups too.
    """
    if catalog.split is None:
        return []
    groups, codes, split_names = catalog.groups(near), catalog.split_codes, catalog.split
    highest = np.full(groups.max(initial=-1) + 1, -1)
    lowest = np.full(len(highest), np.iinfo(np.int64).max)
    known = codes >= 0
    np.maximum.at(highest, groups[known], codes[known])
    np.minimum.at(lowest, groups[known], codes[known])
    leaking = np.flatnonzero((highest >= 0) & (highest != lowest))
    where = np.flatnonzero(np.isin(groups, leaking)) if len(leaking) else np.empty(0, np.int64)
    leaks = []
    for positions in members(np.unique(groups[where], return_inverse=True)[1]):
        rows = where[positions]
        leaks.append(
            Leak(int(groups[rows[0]]), rows, tuple(sorted({str(split_names[i]) for i in rows} - {""})))
        )
    return leaks
