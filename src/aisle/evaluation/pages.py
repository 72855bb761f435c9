"""Shared parts of the HTML pages: each page is one file that loads nothing else."""

from functools import cache

from jinja2 import Environment

from aisle.evaluation.numbers import count, decimal, percent, points, step
from aisle.guarantee.curve_summary import exact
from aisle.html_pages import page_environment
from aisle.metrics import metric_label
from aisle.taxonomy import CategoryPath


@cache
def environment() -> Environment:
    """The Jinja environment of this package; text from the catalog is escaped."""
    found = page_environment("aisle.evaluation", "report.css")
    found.filters |= {"percent": percent, "points": points, "decimal": decimal, "count": count}
    found.filters["metric"] = metric_label
    found.globals |= {"exact": lambda share: spaced(exact(share)), "spaced": spaced}
    found.globals |= {"apart": apart, "points": points, "step": step}
    return found


def spaced(text: str) -> str:
    """`95%` -> `95 %`, as all percentages of a page are written."""
    return text.replace("%", "\N{NO-BREAK SPACE}%")


def apart(path: CategoryPath, other: CategoryPath) -> list[tuple[str, bool]]:
    """Each part of `path`, and whether `other` has it too at this place."""
    shared = 0
    while shared < min(len(path), len(other)) and path[shared] == other[shared]:
        shared += 1
    return [(part, i < shared) for i, part in enumerate(path)]
