"""Findings about columns: how the label was chosen, and which fields are uninformative or leak it."""

from collections.abc import Iterator

import numpy as np

from aisle.data.catalog import Catalog
from aisle.data.column_hints import ROLE_NAMES, propose
from aisle.data.column_names import VAGUE, is_about_label, is_label_like, rank
from aisle.data.column_profile import profiles
from aisle.data.columns import flag
from aisle.data.finding import Example, Finding
from aisle.data.readers.xml_categories import CODE_COLUMNS

_UNINFORMATIVE = 0.995  # share of the most frequent value above which a column is uninformative
_HALF = 0.5
_LEAKS = 0.98  # share of rows whose label follows from a field's value above which the field leaks it


def label_choice(catalog: Catalog) -> Iterator[Finding]:
    """Other columns that could be the label, and why this one was chosen."""
    columns, profile = catalog.columns, profiles(catalog.raw_column, len(catalog))
    if not columns.label:
        return
    filled, label_rank = profile(columns.label[0]).filled, rank("category", columns.label[0])
    message_start = f"label: read from {' / '.join(columns.label)} (filled in {filled:.0%} of rows)"
    if len(columns.label) == 1 and (label_rank is None or label_rank.tier >= VAGUE):
        action = "it is the likeliest column; -c category=NAME names another"
        yield Finding(
            "label choice",
            "note",
            f"{message_start}; no column with a label's name is filled",
            1,
            "columns",
            action,
        )
    candidates, chosen_for_coverage = [], False
    codes = CODE_COLUMNS if columns.label == ("category",) else ()  # named by the document's own list
    for name in catalog.names:
        other = rank("category", name)
        vague = name in columns.fields and other is not None and other.tier >= VAGUE
        ignored = name in columns.ignored and (other is not None or is_label_like(name))
        if is_about_label(name) or name in codes or not (vague or ignored):
            continue
        cells = profile(name)
        unlike_label = not cells.sampled or max(cells.urls, cells.images, cells.record_types) >= _HALF
        if not unlike_label and (ignored or (cells.may_be_label and 0.9 * cells.filled > filled)):
            candidates.append(name)
            chosen_for_coverage |= (
                other is not None and label_rank is not None and other < label_rank and cells.filled < filled
            )
    if candidates:
        reason = ", for it labels more rows" if chosen_for_coverage else ""
        shares = ", ".join(f"{name} ({profile(name).filled:.0%})" for name in candidates[:8])
        further = f" and {len(candidates) - 8:,} more" if len(candidates) > 8 else ""
        message = f"{message_start}{reason}; not from {shares}{further}"
        action = f"to learn another one: {flag('category', candidates[0])}"
        severity = (
            "warning"
            if chosen_for_coverage or filled < max(profile(name).filled for name in candidates)
            else "note"
        )
        yield Finding("label choice", severity, message, len(candidates), "columns", action)


def proposal_findings(catalog: Catalog) -> Iterator[Finding]:
    """Findings about a title, label or images without a column of that name."""
    title = catalog.columns.title
    if title is not None and rank("title", title) is None:
        message = f"title: read from {title}; no column has a title's name"
        yield Finding("title choice", "note", message, 1, "columns", "if it is another: -c title=NAME")
    for proposal in propose(catalog):
        likeliest = f"the likeliest is {proposal.column} ({proposal.reason})"
        message = f"no filled column is named like the {ROLE_NAMES[proposal.role]}; {likeliest}"
        yield Finding("proposal", "note", message, 1, "columns", f"if it is: {proposal.flag}")


def field_findings(catalog: Catalog, groups: np.ndarray) -> Iterator[Finding]:
    """Uninformative fields, and fields that leak the label."""
    first = np.empty(groups.max(initial=-1) + 1, np.int64)
    first[groups[::-1]] = np.arange(len(groups))[::-1]  # one row per group of duplicates
    node = catalog.targets().node[first]
    for name, column in catalog.columns.text.items():
        counts = catalog.value_counts(column, 10_000)
        if counts is None:
            continue
        total, many_rows = sum(counts.values()), len(catalog) > 1
        value, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
        examples = (Example(0, "", value[:80]),)
        drop = flag("ignored", column)
        if not counts:
            message, rows = f"{column}: blank in every row", len(catalog)
            yield Finding("column", "note", message, rows, "rows", "not read", column=column)
        elif count >= _UNINFORMATIVE * total and many_rows:
            share = "every row" if len(counts) == 1 else f"{count / total:.1%} of its rows"
            message = f"{column}: one value in {share}"
            action = f"tells nothing apart: {drop}"
            yield Finding("column", "note", message, count, "rows", action, examples, column=column)
        elif name in ("title", "description"):
            continue
        elif len(counts) == len(catalog) > 20 and all(value.isdigit() for value in counts):
            message = f"{column}: another number in every row"
            action = f"looks like an index: {drop}"
            yield Finding("column", "note", message, len(counts), "rows", action, examples, column=column)
        elif _leaks_label(catalog.codes(column)[first], node):
            message = f"{column}: nearly gives the label away"
            action = f"kept; if it is not known when products are classified, {drop}"
            yield Finding("column", "warning", message, total, "rows", action, examples, column=column)


def weight_findings(catalog: Catalog) -> Iterator[Finding]:
    """Weights above 100, which are probably those of the products."""
    if catalog.weights is not None and len(catalog) and catalog.weights.max() > 100:
        message = f"{catalog.columns.weight}: read as how much a row counts, up to {catalog.weights.max():g}"
        action = "if it is the product's own weight: -c weight="
        yield Finding("weight", "warning", message, len(catalog), "rows", action)


def _leaks_label(codes: np.ndarray, node: np.ndarray) -> bool:
    """Whether the value of a field determines the label, by values that several rows share."""
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
        and best[repeated].sum() >= _LEAKS * covered
    )
