"""Checks of a catalog before training, as a typed report that the CLI renders as text, JSON or HTML."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from aisle.data import column_parsers
from aisle.data.catalog import Catalog
from aisle.data.checks import find_all
from aisle.data.dialects.attributes import attribute_columns
from aisle.data.dialects.cells import CATEGORY
from aisle.data.dialects.header import Header
from aisle.data.dialects.schema import AUTO
from aisle.data.finding import Finding
from aisle.data.labels import LabelStyle
from aisle.data.problems import Problems
from aisle.progress import SILENT, Progress
from aisle.taxonomy import format_path

TAIL = 5  # a class with fewer rows is in the long tail
_BANDS = ((1, 1), (2, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, 999), (1000, 10**12))
_EXAMPLES = 12  # largest and smallest classes shown
_MAX_DISTINCT = 100_000  # distinct values of a column that are counted


@dataclass(frozen=True)
class ColumnSummary:
    """One column: its role, the numbers of filled cells and distinct values, and the most frequent value."""

    name: str
    part: str
    filled: int
    distinct: int | None
    common: str
    common_share: float


@dataclass(frozen=True)
class LevelSummary:
    """One level of the tree (1 is the top): its nodes, and the labelled rows that reach it."""

    level: int
    nodes: int
    rows: int


@dataclass(frozen=True)
class SizeBand:
    """Classes with `min_rows` to `max_rows` rows: their number, and their rows in total."""

    min_rows: int
    max_rows: int
    classes: int
    rows: int


@dataclass(frozen=True)
class ClassSummary:
    """The distribution of labelled rows over classes (nodes with labelled rows).

    Attributes:
        count: The number of classes.
        median: Rows of the median class.
        largest: Rows of the largest class.
        head_share: Share of the rows in the largest tenth of the classes.
        tail: Classes of fewer than 5 rows.
        singletons: Classes of one row.
        sizes: Rows of every class, largest first.
    """

    count: int
    labelled: int
    unlabelled: int
    median: float
    largest: int
    head_share: float
    tail: int
    singletons: int
    bands: tuple[SizeBand, ...]
    top: tuple[tuple[str, int], ...]
    bottom: tuple[tuple[str, int], ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class CheckReport:
    """The result of `check`. `rows` = `clean` + `flagged` (with a problem) + `fatal` (not trained on).

    In a shop export, `rows` are its products: `dialect` is the platform's title, and `source_rows` the number
    of rows that the products come from.
    """

    source: str
    rows: int
    clean: int
    flagged: int
    fatal: int
    dialect: str
    source_rows: int
    files: tuple[tuple[str, int], ...]
    mapping: tuple[tuple[str, str], ...]
    columns: tuple[ColumnSummary, ...]
    levels: tuple[LevelSummary, ...]
    classes: ClassSummary | None
    missing: tuple[tuple[str, int], ...]
    images: int
    splits: tuple[tuple[str, int], ...]
    findings: tuple[Finding, ...]
    problems: Problems = field(repr=False)
    catalog: Catalog = field(repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        data: dict[str, Any] = {"ok": self.ok}
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name == "problems":
                data["problems"] = [problem._asdict() for problem in value]
            elif part.name != "catalog":
                data[part.name] = _plain(value)
        return data

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one self-contained HTML page; returns its path.

        Raises:
            OSError: The file cannot be written.
        """
        from aisle.data.check_page import render

        path = Path(path)
        path.write_text(render(self), encoding="utf-8")
        return path


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def check(
    catalog: Catalog, *, images: bool = True, strict: bool = False, progress: Progress = SILENT
) -> CheckReport:
    """Check a catalog.

    Args:
        catalog: The catalog.
        images: Whether images are decoded; else only their existence is checked.
        strict: Raise at the first image that cannot be decoded.
        progress: Reports progress.

    Raises:
        FirstProblemError: If strict, and an image cannot be decoded.
    """
    problems = catalog.problems.copy(strict)
    if images:
        unreadable = catalog.scan_images(progress).unreadable
        own_rows = set(catalog.rows.tolist()) if unreadable else set()
        for image in unreadable:
            if image.row in own_rows:
                problems.add(image.row, image.column, image.reason, image.name)
        problems.sort()
    rows, fatal = len(catalog), int(catalog.fatal.sum())
    position = catalog.source_rows[problems.rows_with() - catalog.first_source_row]
    flagged = len(np.unique(position[(position >= 0) & ~catalog.fatal[position]]))
    return CheckReport(
        source=", ".join(str(part.path) for part in catalog.files[:3]) or "rows in memory",
        rows=rows,
        clean=rows - flagged - fatal,
        flagged=flagged,
        fatal=fatal,
        dialect=catalog.dialect.title if catalog.dialect is not None else "",
        source_rows=len(catalog.source_rows),
        files=tuple((str(part.path), part.last - part.first + 1) for part in catalog.files),
        mapping=_mapping(catalog),
        columns=tuple(summarize_columns(catalog)),
        levels=_levels(catalog),
        classes=_classes(catalog),
        missing=_missing(catalog),
        images=catalog.scan_images().total if images else 0,
        splits=_splits(catalog),
        findings=find_all(catalog, problems, near=images, progress=progress),
        problems=problems,
        catalog=catalog,
    )


def _mapping(catalog: Catalog) -> tuple[tuple[str, str], ...]:
    lines = catalog.columns.describe()
    if catalog.columns.label:
        has_names = catalog.labelled and catalog.style.delimiter is None and catalog.taxonomy.depth > 1
        how = "ids or names of categories" if has_names else str(_style(catalog))
        lines.append(("labels", how))
    return tuple(lines)


def _style(catalog: Catalog) -> LabelStyle:
    """How the labels are written in the file; the dialect of a shop export tells."""
    rules = catalog.dialect.category if catalog.dialect is not None else None
    if rules is None or catalog.columns.separator != CATEGORY:
        return catalog.style
    return LabelStyle(rules.delimiter, separator=None if rules.separator == AUTO else rules.separator)


def summarize_columns(catalog: Catalog) -> list[ColumnSummary]:
    """The columns of a catalog with the roles that they have, in the order of the file."""
    parts = {
        name: part
        for part, value in catalog.columns.to_dict().items()
        for name in (value if isinstance(value, list) else [value])
    }
    parts |= _parts_of_dialect(catalog, parts)
    summaries = []
    for name in catalog.names:
        filled = sum(int(column_parsers.filled(array).sum()) for array in catalog.raw_column(name))
        counts = catalog.value_counts(name, _MAX_DISTINCT)
        top_value, top_count = max(counts.items(), key=lambda item: item[1]) if counts else ("", 0)
        share = top_count / filled if filled else 0.0
        distinct = len(counts) if counts is not None else None
        summaries.append(
            ColumnSummary(name, parts.get(name, "unused"), filled, distinct, top_value[:80], share)
        )
    return summaries


def _parts_of_dialect(catalog: Catalog, parts: Mapping[str, str]) -> dict[str, str]:
    """The use of columns by a dialect that have no role."""
    if catalog.dialect is None:
        return {}
    header, rules = Header(catalog.names), catalog.dialect
    products = rules.products
    uses = {
        "position": header.find_all(rules.images.position),
        "attribute": attribute_columns(rules.attributes, header, rules.columns.ignored).names,
        "group": header.find_all((*products.group_by, *products.parent, *products.children)),
    }
    return {
        name: use for use, names in uses.items() for name in names if parts.get(name, "ignored") == "ignored"
    }


def _levels(catalog: Catalog) -> tuple[LevelSummary, ...]:
    if not catalog.labelled:
        return ()
    node = catalog.targets().node
    depth = catalog.taxonomy.node_depth
    reached = depth[node[node >= 0]]
    return tuple(
        LevelSummary(level, len(catalog.taxonomy.level(level)), int((reached >= level).sum()))
        for level in range(1, catalog.taxonomy.depth + 1)
    )


def _classes(catalog: Catalog) -> ClassSummary | None:
    node = catalog.targets().node
    labelled = node[node >= 0]
    if not len(labelled):
        return None
    counts = np.bincount(labelled)
    nodes = np.flatnonzero(counts)
    counts = counts[nodes]
    order = np.argsort(-counts, kind="stable")
    sizes = counts[order]
    names = [format_path(catalog.taxonomy.nodes[n].path) for n in nodes[order]]
    head = max(1, len(sizes) // 10)
    named_sizes = [(name, int(size)) for name, size in zip(names, sizes, strict=True)]
    return ClassSummary(
        count=len(sizes),
        labelled=len(labelled),
        unlabelled=int(((node < 0) & ~catalog.fatal).sum()),
        median=float(np.median(sizes)),
        largest=int(sizes[0]),
        head_share=float(sizes[:head].sum() / sizes.sum()),
        tail=int((sizes < TAIL).sum()),
        singletons=int((sizes == 1).sum()),
        bands=tuple(
            _band(sizes, min_rows, max_rows) for min_rows, max_rows in _BANDS if min_rows <= sizes[0]
        ),
        top=tuple(named_sizes[:_EXAMPLES]),
        bottom=tuple(named_sizes[-_EXAMPLES:][::-1]) if len(named_sizes) > _EXAMPLES else (),
        sizes=tuple(int(size) for size in sizes),
    )


def _band(sizes: np.ndarray, min_rows: int, max_rows: int) -> SizeBand:
    inside = sizes[(sizes >= min_rows) & (sizes <= max_rows)]
    return SizeBand(min_rows, max_rows, len(inside), int(inside.sum()))


def _missing(catalog: Catalog) -> tuple[tuple[str, int], ...]:
    """The number of rows without title, description, image and category."""
    findings = []
    for name in ("title", "description"):
        column = catalog.columns.text.get(name)
        if column is not None:
            filled = sum(int(column_parsers.filled(array).sum()) for array in catalog.raw_column(column))
            findings.append((name, len(catalog) - filled))
    if catalog.columns.images or catalog.columns.image_template:
        findings.append(("image", len(catalog) - int(catalog.has_image().sum())))
    if catalog.columns.label:
        findings.append(("category", int((catalog.targets().node < 0).sum())))
    return tuple(findings)


def _splits(catalog: Catalog) -> tuple[tuple[str, int], ...]:
    if catalog.split is None:
        return ()
    counts = Counter(catalog.split.tolist())
    return tuple((str(name) or "(blank)", count) for name, count in sorted(counts.items()))
