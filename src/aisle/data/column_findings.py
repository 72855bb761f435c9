"""What a check finds about the columns of a catalog: how their roles were chosen, and which say nothing."""

from collections.abc import Iterator

import numpy as np

from aisle.data.catalog import Catalog
from aisle.data.column_hints import CALLED, propose
from aisle.data.column_names import WEAK, is_about_label, is_label_like, rank
from aisle.data.column_profile import profiles
from aisle.data.columns import flag
from aisle.data.finding import Example, Finding

_SAME = 0.995  # a column whose commonest value fills this share says nothing
_HALF = 0.5
_TELLS = 0.98  # a column whose values give the label this often gives the answer away


def choices(catalog: Catalog) -> Iterator[Finding]:
    """Further columns that could be the label, and why the one that is read was chosen."""
    columns, profile = catalog.columns, profiles(catalog.raw_column, len(catalog))
    if not columns.label:
        return
    own, known = profile(columns.label[0]).filled, rank("category", columns.label[0])
    read = f"label: read from {' / '.join(columns.label)} (filled in {own:.0%} of rows)"
    if len(columns.label) == 1 and (known is None or known.tier >= WEAK):
        action = "it is the likeliest column; -c category=NAME names another"
        yield Finding(
            "label choice", "note", f"{read}; no column with a label's name is filled", 1, "columns", action
        )
    others, fuller = [], False
    for name in catalog.names:
        other = rank("category", name)
        vague = name in columns.fields and other is not None and other.tier >= WEAK
        unread = name in columns.ignored and (other is not None or is_label_like(name))
        if is_about_label(name) or not (vague or unread):
            continue
        cells = profile(name)
        odd = not cells.seen or max(cells.urls, cells.images, cells.kinds) >= _HALF
        if not odd and (unread or (cells.as_label and 0.9 * cells.filled > own)):
            others.append(name)
            fuller |= other is not None and known is not None and other < known and cells.filled < own
    if others:
        why = ", for it labels more rows" if fuller else ""
        shares = ", ".join(f"{name} ({profile(name).filled:.0%})" for name in others[:8])
        more = f" and {len(others) - 8:,} more" if len(others) > 8 else ""
        what = f"{read}{why}; not from {shares}{more}"
        action = f"to learn another one: {flag('category', others[0])}"
        severity = "warning" if fuller or own < max(profile(name).filled for name in others) else "note"
        yield Finding("label choice", severity, what, len(others), "columns", action)


def proposals(catalog: Catalog) -> Iterator[Finding]:
    """The likeliest columns for a title, label or images that no filled column is named like."""
    for one in propose(catalog):
        likeliest = f"the likeliest is {one.column} ({one.reason})"
        what = f"no filled column is named like the {CALLED[one.role]}; {likeliest}"
        yield Finding("proposal", "note", what, 1, "columns", f"if it is: {one.flag}")


def fields(catalog: Catalog, groups: np.ndarray) -> Iterator[Finding]:
    """Fields that say nothing, and fields that give the label away."""
    first = np.empty(groups.max(initial=-1) + 1, np.int64)
    first[groups[::-1]] = np.arange(len(groups))[::-1]  # one row of each group: copies share everything
    node = catalog.targets().node[first]
    for name, column in catalog.columns.text.items():
        counts = catalog.value_counts(column, 10_000)
        if counts is None:
            continue
        total, several = sum(counts.values()), len(catalog) > 1
        value, often = max(counts.items(), key=lambda item: item[1], default=("", 0))
        shown = (Example(0, "", value[:80]),)
        drop = flag("ignored", column)
        if not counts:
            what, rows = f"{column}: blank in every row", len(catalog)
            yield Finding("column", "note", what, rows, "rows", "not read", column=column)
        elif often >= _SAME * total and several:
            share = "every row" if len(counts) == 1 else f"{often / total:.1%} of its rows"
            what = f"{column}: one value in {share}"
            action = f"tells nothing apart: {drop}"
            yield Finding("column", "note", what, often, "rows", action, shown, column=column)
        elif name in ("title", "description"):
            continue
        elif len(counts) == len(catalog) > 20 and all(value.isdigit() for value in counts):
            what = f"{column}: another number in every row"
            action = f"looks like an index: {drop}"
            yield Finding("column", "note", what, len(counts), "rows", action, shown, column=column)
        elif _gives_away(catalog.codes(column)[first], node):
            what = f"{column}: nearly gives the label away"
            action = f"kept; if it is not known when products are classified, {drop}"
            yield Finding("column", "warning", what, total, "rows", action, shown, column=column)


def weights(catalog: Catalog) -> Iterator[Finding]:
    """A column called weight may as well hold the product's own."""
    if catalog.weights is not None and len(catalog) and catalog.weights.max() > 100:
        what = f"{catalog.columns.weight}: read as how much a row counts, up to {catalog.weights.max():g}"
        action = "if it is the product's own weight: -c weight="
        yield Finding("weight", "warning", what, len(catalog), "rows", action)


def _gives_away(codes: np.ndarray, node: np.ndarray) -> bool:
    """Whether rows that share a value share their label too, for values of several rows."""
    known = (node >= 0) & (codes >= 0)
    if not known.any():
        return False
    classes = int(node.max()) + 1
    pairs, counts = np.unique(codes[known] * classes + node[known], return_counts=True)
    value = pairs // classes
    total = np.bincount(value, counts)
    best = np.zeros(len(total))
    np.maximum.at(best, value, counts)
    repeated = total >= 2
    covered = total[repeated].sum()
    return bool(
        covered >= len(node) / 2
        and len(np.unique(pairs % classes)) > 1
        and repeated.sum() > 1
        and best[repeated].sum() >= _TELLS * covered
    )
