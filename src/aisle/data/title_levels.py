"""Finds category paths that end with the product's title, as breadcrumbs of product pages do."""

from collections.abc import Sequence

import numpy as np

from aisle.data.column_parsers import DictionaryEncoded
from aisle.data.labels import LEVEL_MARK
from aisle.data.text import fold_spelling
from aisle.taxonomy import CategoryPath

_SHARE = 0.5  # of the distinct labels, at least this many end with a title
_LABELS = 10  # distinct labels with levels below which titles are not looked for
_DISTINCT = 0.3  # distinct labels per labelled row below which titles are not looked for
_CUT = ("...", "…")


def without_titles(
    coded: DictionaryEncoded, categories: Sequence[Sequence[CategoryPath]], titles: Sequence[str | None]
) -> DictionaryEncoded | None:
    """Labels without a last level that repeats the title of their product.

    Args:
        coded: The labels of n rows.
        categories: The paths of each distinct label.
        titles: The titles of the n rows.

    Returns:
        The labels with their levels joined by `LEVEL_MARK`, or None where fewer than half end with a title.
    """
    deep = [len(paths) == 1 and len(paths[0]) > 1 for paths in categories]
    if sum(deep) < max(_DISTINCT * len(coded.codes), _LABELS):
        return None
    _, first = np.unique(coded.codes, return_index=True)
    ends = [
        is_deep and _repeats(paths[0][-1], titles[row] or "")
        for is_deep, paths, row in zip(deep, categories, first.tolist(), strict=True)
    ]
    if sum(ends) < _SHARE * len(categories):
        return None
    texts = [
        LEVEL_MARK.join(paths[0][:-1] if is_title else paths[0]) if paths else ""
        for is_title, paths in zip(ends, categories, strict=True)
    ]
    known: dict[str, int] = {}
    codes = np.array([known.setdefault(text, len(known)) for text in texts], np.int32)
    return DictionaryEncoded(codes[coded.codes], list(known))


def _repeats(level: str, title: str) -> bool:
    """Whether a level is the title, cut off or with an addition."""
    folded, folded_title = fold_spelling(level), fold_spelling(title)
    start = folded
    for mark in _CUT:
        start = start.removesuffix(mark).rstrip()
    is_cut = bool(start) and start != folded and folded_title.startswith(start)
    return bool(folded_title) and (folded == folded_title or is_cut or folded.startswith(f"{folded_title} "))
