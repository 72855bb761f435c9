"""Shared parts of the self-contained HTML pages."""

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
    jinja = page_environment("aisle.evaluation", "report.css")
    jinja.filters |= {"percent": percent, "points": points, "decimal": decimal, "count": count}
    jinja.filters["metric"] = metric_label
    jinja.globals |= {"exact": lambda value: spaced(exact(value)), "spaced": spaced}
    jinja.globals |= {"apart": path_parts, "points": points, "step": step}
    return jinja


def spaced(text: str) -> str:
    """`95%` -> `95 %`, as all percentages of a page are written."""
    return text.replace("%", "\N{NO-BREAK SPACE}%")


def path_parts(path: CategoryPath, other: CategoryPath) -> list[tuple[str, bool]]:
    """Each part of `path`, and whether `other` has the same part at this level."""
    shared = 0
    while shared < min(len(path), len(other)) and path[shared] == other[shared]:
        shared += 1
    return [(part, i < shared) for i, part in enumerate(path)]
