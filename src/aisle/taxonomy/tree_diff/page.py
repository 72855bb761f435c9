"""A comparison of two trees as one self-contained HTML page."""

from typing import TYPE_CHECKING, NamedTuple

from aisle.html_pages import page_environment
from aisle.taxonomy.tree import CategoryPath

if TYPE_CHECKING:
    from aisle.taxonomy.tree_diff.result import Change, TaxonomyDiff

_TITLES = {
    "renamed": "Renamed", "moved": "Moved", "moved and renamed": "Moved and renamed", "merged": "Merged",
    "split": "Split", "added": "Added", "retired": "Retired",
}  # fmt: skip
_OPEN = 40  # changes of a kind that are shown before the rest is folded
_MOST = 5_000  # changes of a kind on the page


class _Row(NamedTuple):
    """A change as a row of the page: old and new paths, and the evidence."""

    old: tuple[CategoryPath, ...]
    new: tuple[CategoryPath, ...]
    replacement: CategoryPath | None
    probability: float
    uncertain: bool
    evidence: tuple[str, ...]


def render(diff: "TaxonomyDiff") -> str:
    """The page's HTML."""

    def row(change: "Change") -> _Row:
        old, new = diff.old.nodes, diff.new.nodes
        replacement = None if change.replacement is None else new[change.replacement].path
        return _Row(
            tuple(old[n].path for n in change.old),
            tuple(new[n].path for n in change.new),
            replacement,
            change.probability,
            change.uncertain,
            change.evidence,
        )

    uncertain = [row(change) for change in sorted(diff.uncertain, key=lambda change: change.probability)]
    groups = [("uncertain", "To be checked", uncertain)] if uncertain else []
    for kind in diff.counts:
        if kind != "kept":
            groups.append((kind.replace(" ", "-"), _TITLES[kind], [row(c) for c in diff.of(kind)]))
    return (
        page_environment("aisle.taxonomy.tree_diff", "diff.css")
        .get_template("diff.html")
        .render(found=diff, groups=groups, open=_OPEN, most=_MOST)
    )
