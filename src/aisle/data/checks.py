"""The findings of a check, one function for each kind."""

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from aisle.data import column_findings, splits
from aisle.data.catalog import Catalog
from aisle.data.column_parsers import hash_cells
from aisle.data.duplicates import members
from aisle.data.finding import Example, Finding, Severity
from aisle.data.problems import Problems, ProblemType
from aisle.data.product import Problem
from aisle.progress import SILENT, Progress
from aisle.taxonomy import format_path

SHOWN = 8  # examples of each finding
_GOLDEN = np.int64(0x9E3779B97F4A7C15 - 2**64)  # 2^64 over the golden ratio: Fibonacci hashing

# The start of the part of a message that differs between rows.
_VARIES = re.compile(r"(?=\. Did you mean )|(?<=image is broken)(?=: )|(?=; read as ')")
# Action by words of the problem's message; the first match counts.
_ACTIONS = (
    ("image is not there", "the product is used without the image"),
    ("image URL", "used without the images; `aisle images` downloads them"),
    ("image", "the product is used without the image"),
    ("is not in the tree", "not trained on until its label is in the tree"),
    ("no category", "can be classified, not trained on"),
    ("same id", "kept; both predictions have this id"),
    ("no id", "its row number is its id"),
    ("not a weight", "counts once"),
    ("order of day and month", "count as undated; a split by time asks for --date-format"),
    ("not a date", "counts as undated, the oldest in a split by time"),
    ("encoding was guessed", "if letters look wrong, name it with --encoding"),
    ("ancestors of a category", "the deepest categories are trained on"),
    ("every label holds", "read as it stands"),
    ("joined", "check that the joined text is one field"),
)
_HARMLESS = ("ancestors of a category", "image URLs")  # starts of messages that are information only


def find_all(
    catalog: Catalog, problems: Problems, *, near: bool, progress: Progress = SILENT
) -> tuple[Finding, ...]:
    """All findings, most severe first.

    Args:
        catalog: The catalog.
        problems: Its problems, including those of images.
        near: Whether similar images are searched.
        progress: Reports progress.
    """
    groups = catalog.groups(near=False)
    findings = [
        *_problems(catalog, problems),
        *_spellings(catalog),
        *_duplicates(catalog, groups),
        *_leaks(catalog),
        *_near_duplicates(catalog, groups, catalog.groups(images=near, progress=progress)),
        *_labels(catalog),
        *column_findings.label_choice(catalog),
        *column_findings.proposal_findings(catalog),
        *column_findings.field_findings(catalog, groups),
        *column_findings.weight_findings(catalog),
    ]
    order = ("error", "warning", "note")
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _example(catalog: Catalog, i: int) -> Example:
    """An example that shows the title and the label of row i."""
    product = catalog[i]
    label = format_path(product.categories[0]) if product.categories else "no label"
    title = product.fields.get("title") or next(iter(product.fields.values()), "")
    return Example(int(catalog.rows[i]), product.id, " ".join(title.split())[:80], label)


def _problems(catalog: Catalog, problems: Problems) -> Iterator[Finding]:
    """One finding for each type of problem; the examples show what differs between rows."""
    counts: Counter[ProblemType] = Counter()
    shown: defaultdict[ProblemType, list[Problem]] = defaultdict(list)
    last_row: dict[ProblemType, int] = {}
    for problem in problems:  # in the order of their rows
        kind = ProblemType(problem.column, _VARIES.split(problem.message)[0], problem.fatal)
        if problem.row is not None and last_row.get(kind) == problem.row:
            continue  # several images of a row count once
        last_row[kind] = problem.row or 0
        counts[kind] += 1
        if counts[kind] <= SHOWN:
            shown[kind].append(problem)
    for kind, count in counts.most_common():
        if kind.message == "differs only in case or spacing":
            continue  # reported by `_spellings`
        examples = (_problem_example(catalog, problem) for problem in shown[kind])
        action = next((action for words, action in _ACTIONS if words in kind.message), "read as said")
        if kind.fatal:
            action = "left out of training; its prediction is `review`"
        message = f"{kind.column}: {kind.message}" if kind.column else kind.message
        harmless = kind.message.startswith(_HARMLESS)
        severity: Severity = "error" if kind.fatal else "note" if harmless else "warning"
        unit, about = "rows" if shown[kind][0].row else "files", kind.column or ""
        yield Finding("problem", severity, message, count, unit, action, tuple(examples), column=about)


def _problem_example(catalog: Catalog, problem: Problem) -> Example:
    i = catalog.position_of(problem.row or 0)
    examples = _example(catalog, i) if i is not None else Example(0, "", "")
    detail = problem.message[len(_VARIES.split(problem.message)[0]) :].strip(" .:;")
    detail = detail.replace("Did you mean ", "→ ") if detail else ""
    value = " ".join(part for part in (problem.value or examples.value, detail) if part)
    return Example(examples.row, examples.id, value)


def _spellings(catalog: Catalog) -> Iterator[Finding]:
    variants = catalog.spellings
    if variants:
        examples = list(variants.items())[:SHOWN]
        yield Finding(
            "spelling",
            "warning",
            "label paths that differ only in case or spacing",
            len(variants),
            "spellings",
            "each is read as the commonest spelling",
            tuple(Example(0, "", f"{format_path(a)} → {format_path(b)}") for a, b in examples),
        )


def _duplicates(catalog: Catalog, groups: np.ndarray) -> Iterator[Finding]:
    """Groups of exact duplicates, of near-duplicates, and of duplicates with different labels."""
    node, content = catalog.targets().node, _content_hashes(catalog)
    exact, similar, conflicting = _LargestGroups(), _LargestGroups(), _LargestGroups()
    for rows in members(groups):
        contents = len(np.unique(content[rows]))
        if contents < len(rows):
            exact.add(rows, len(rows) - contents)
        if contents > 1:
            similar.add(rows, len(rows))
        if len(np.setdiff1d(node[rows], -1)) > 1:
            conflicting.add(rows, len(rows))
    kept_together = "kept together on one side of every split"
    message = "exact duplicates: rows that say the same in every column but id, label and split"
    yield from _group_finding(catalog, "exact duplicates", "note", message, kept_together, exact)
    message = "near duplicates: the same title and description, first image or group"
    yield from _group_finding(catalog, "near duplicates", "note", message, kept_together, similar)
    action = f"{kept_together}; at most one of their labels is right, so look at them"
    message = "duplicates with different labels"
    yield from _group_finding(catalog, "conflicts", "warning", message, action, conflicting)


def _content_hashes(catalog: Catalog) -> np.ndarray:
    """(n,) int64 hashes of the text and images of each row."""
    columns = catalog.columns
    hashed = np.zeros(len(catalog), np.int64)
    for name in dict.fromkeys([*columns.text.values(), *columns.images]):
        cells = [hash_cells(array) for array in catalog.raw_column(name)]
        hashed *= _GOLDEN  # wraps around; makes the hash depend on the column
        hashed += np.concatenate(cells) if cells else 0
    return hashed


class _LargestGroups:
    """Collects groups of rows: their number, the number of rows, and the largest groups."""

    def __init__(self) -> None:
        self.count = self.rows = 0
        self._largest: list[tuple[int, int, np.ndarray]] = []

    def add(self, rows: np.ndarray, counted: int) -> None:
        """Add a group, of which `counted` rows count."""
        self.count, self.rows = self.count + 1, self.rows + counted
        entry = (len(rows), -self.count, rows[:SHOWN])
        if len(self._largest) < SHOWN:
            heapq.heappush(self._largest, entry)
        elif entry > self._largest[0]:
            heapq.heapreplace(self._largest, entry)

    @property
    def largest(self) -> list[np.ndarray]:
        """Some rows of the largest groups, largest first."""
        return [rows for _, _, rows in sorted(self._largest, reverse=True)]


def _group_finding(
    catalog: Catalog, kind: str, severity: Severity, message: str, action: str, groups: _LargestGroups
) -> Iterator[Finding]:
    """One finding, if there is any group."""
    if groups.count:
        examples = tuple(tuple(_example(catalog, int(i)) for i in rows) for rows in groups.largest)
        unit = f"rows in {groups.count:,} group{'s' * (groups.count != 1)}"
        yield Finding(kind, severity, message, groups.rows, unit, action, groups=examples)


def _leaks(catalog: Catalog) -> Iterator[Finding]:
    groups = _LargestGroups()
    for leak in splits.leakage(catalog):
        groups.add(leak.rows, len(leak.rows))
    message = "the same product on both sides of the given split"
    action = "kept as given; scores on it are too high: split again (`aisle split`) or drop these rows"
    yield from _group_finding(catalog, "leakage", "error", message, action, groups)


def _near_duplicates(catalog: Catalog, groups: np.ndarray, near: np.ndarray) -> Iterator[Finding]:
    """Products with similar titles or first images that are not duplicates.

    They may be one product listed twice, or variants of a product.
    """
    similar, across = _LargestGroups(), 0
    split_codes_ = None if catalog.columns.split is None else catalog.split_codes
    for rows in members(near):
        if len(np.unique(groups[rows])) > 1:
            similar.add(rows, len(rows))
            across += split_codes_ is not None and len(np.setdiff1d(split_codes_[rows], -1)) > 1
    crossing = f"; {across:,} of the groups lie across the given split" if across else ""
    message = "similar titles or first images"
    action = f"kept together on one side of every split that Aisle makes{crossing}"
    yield from _group_finding(catalog, "look-alikes", "note", message, action, similar)


def _labels(catalog: Catalog) -> Iterator[Finding]:
    node, exact = catalog.targets()
    known = node >= 0
    if not known.any():
        yield Finding(
            "labels",
            "note",
            "no row has a label",
            len(catalog),
            "rows",
            "can be classified, not trained on",
        )
        return
    branch = np.flatnonzero(known & ~exact)
    if len(branch):
        examples = tuple(_example(catalog, int(i)) for i in branch[:SHOWN])
        message, action = "labels that name a branch only", "trained on as `somewhere in this branch`"
        yield Finding("branches", "note", message, len(branch), "rows", action, examples)
    multiple = int((catalog.category_counts() > 1).sum())
    if multiple:
        action = "the first is trained on, names without levels or of every row last; any counts as correct"
        yield Finding("several", "note", "products with several categories", multiple, "rows", action)
    classes, counts = np.unique(node[known], return_counts=True)
    singletons = classes[counts == 1]
    if len(singletons):
        examples = tuple(
            Example(0, "", format_path(catalog.taxonomy.nodes[n].path)) for n in singletons[:SHOWN]
        )
        action = "in one split only: trained on or tested"
        yield Finding("long tail", "note", "classes of one row", len(singletons), "classes", action, examples)
    split = catalog.split
    if split is not None and (split == "train").any() and (split == "test").any():
        tested = np.flatnonzero((split == "test") & known)
        unseen = tested[~np.isin(node[tested], np.unique(node[(split == "train") & known]))]
        if len(unseen):
            examples = tuple(_example(catalog, int(i)) for i in unseen[:SHOWN])
            total = len(tested)
            ceiling = f"accuracy on test can reach {1 - len(unseen) / total:.1%} at most"
            yield Finding(
                "unseen",
                "note",
                "test rows of classes without a training row",
                len(unseen),
                "rows",
                ceiling,
                examples,
            )
