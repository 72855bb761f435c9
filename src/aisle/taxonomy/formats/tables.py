"""Tables of categories: code and title per level, parents by id, hierarchical codes, paths, or levels."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from aisle.errors import TaxonomyError
from aisle.taxonomy.entries import Entry, Parsed, TreeProblem
from aisle.taxonomy.formats.codes import find_scheme, is_section
from aisle.taxonomy.formats.rows import CategoryRows
from aisle.taxonomy.formats.text import path_splitter

_LEVEL = re.compile(
    r"^.*?(?:level|lvl|niveau|ebene|l)[ _-]?(\d+).*$|^(?:category|cat)[ _-]?(\d+)$", re.IGNORECASE
)
_IDS = (
    "id", "categoryid", "nodeid", "code", "key", "gid", "entityid", "termid", "browsenodeid", "artclassid",
    "classcode", "hscode", "cncode", "commoditycode", "goodscode", "unspsc", "unspsccode", "codedname",
    "eclasscode", "etimcode", "categorycode", "kategorienummer", "nummer", "number", "heading", "hs6",
)  # fmt: skip
_CODES = (
    "code", "unspsc", "unspsccode", "commoditycode", "hscode", "cncode", "goodscode", "codedname",
    "eclasscode", "classcode", "categorycode", "hs6", "heading",
)  # fmt: skip
_PATHS = (
    "path", "categorypath", "fullname", "fullpath", "breadcrumb", "category", "categories", "nodepath",
    "browsepath", "browsepathbyname",
)  # fmt: skip
_NAMES = (
    "name", "categoryname", "title", "label", "preferredname", "artclassdesc", "classname", "description",
    "browsenodename", "displayname", "commoditytitle", "nameen", "descriptionen", "labelenus", "labelsenus",
    "labelsenus", "desc", "text", "bezeichnung", "libelle",
)  # fmt: skip
_PARENTS = (
    "parentid", "parent", "parentcategoryid", "parentcode", "parentkey", "artgroupid", "groupid", "parentsku",
    "parentslug", "parentnodeid", "parentcncode", "parentname", "parenttermid",
)  # fmt: skip
_REFERENCES = ("key", "slug", "code", "name", "urlkey", "id", "title")  # what a parent cell may name instead
_LOCALE = re.compile(
    r"^(?:label|labels|name|title|description|desc)s?[ _.:-]+([a-z]{2}(?:[_-][a-z]{2,4})?)$", re.I
)
_SYNONYMS = ("synonym", "synonyms", "keyword", "keywords", "acronym", "alsoknownas")
_LEVEL_NAMES = ("segment", "family", "maingroup", "group", "subgroup", "class", "commodity", "brick")
_TITLE = ("title", "name", "text", "description", "desc")
_ROOTS = {"", "0", "root", "null", "none", "nan", "total", "-1"}
_TRUE = {"1", "true", "yes", "y", "t", "x"}


class _Columns(NamedTuple):
    """The columns of a table; None where it lacks them."""

    id: int | None
    name: int | None
    parent: int | None
    path: int | None
    flag: int | None


def table_entries(table: CategoryRows) -> Parsed:
    """The categories of a table, in any of the known layouts.

    Raises:
        TaxonomyError: it has no column of paths, levels, parents or hierarchical codes.
    """
    found = _titled_levels(table)
    if found is not None:
        return found
    columns = _columns(table)
    levels = _level_columns(table)
    if len(levels) > 1 or (levels and columns.path is None and columns.parent is None):
        return Parsed("a column per level", list(_filled_levels(table, levels, columns)))
    for read in (_by_parent, _by_code):
        found = read(table, columns)
        if found is not None:
            return found
    path_column = columns.name if columns.path is None else columns.path
    if path_column is None:
        raise TaxonomyError(
            f"no column named path, level1 …, name and parent_id, or code and title; the file has: "
            f"{', '.join(table.header)}"
        )
    split = path_splitter([row[path_column] for _, row in table.body])
    return Parsed(
        _kind(table), [_entry(table, columns, n, row, split(row[path_column])) for n, row in table.body]
    )


def _columns(table: CategoryRows) -> _Columns:
    names = table.column(*_NAMES)
    if names is None:
        names = next((k for k, name in enumerate(table.header) if _LOCALE.match(name)), None)
    path = table.column(*_PATHS)
    if path is not None and _is_id_path(table.cells(path)):  # Magento: 1/2/15
        path = None
    return _Columns(table.column(*_IDS), names, table.column(*_PARENTS), path, table.column("assignable"))


def _is_id_path(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(re.fullmatch(r"\d+(?:[/,]\d+)*", cell) for cell in filled)


def _kind(table: CategoryRows) -> str:
    folded = set(table.folded)
    if {"categoryid", "category"} <= folded or folded == {"id", "category"}:
        return "Facebook product categories"
    return "Amazon browse tree" if {"nodeid", "nodepath"} <= folded else "paths"


def _entry(
    table: CategoryRows, columns: _Columns, n: int, row: list[str], path: tuple[str | None, ...]
) -> Entry:
    assignable = None if columns.flag is None else row[columns.flag].strip().casefold() in _TRUE
    node_id = "" if columns.id is None else row[columns.id].strip()
    return Entry(n, node_id, path, assignable, _other_names(table, row, columns.name))


def _other_names(table: CategoryRows, row: list[str], name_column: int | None) -> tuple[str, ...]:
    """Names in other languages, and synonyms."""
    names = [
        row[k].strip() for k, name in enumerate(table.header) if k != name_column and _LOCALE.match(name)
    ]
    for k, name in enumerate(table.folded):
        if name in _SYNONYMS:
            names += [part.strip() for part in re.split(r"[;,|]", row[k])]
    return tuple(name for name in names if name)


# -- code and title per level ------------------------------------------------------------------


def _titled_levels(table: CategoryRows) -> Parsed | None:
    """UNSPSC and GPC with a code and a title per level, ETIM with groups and classes."""
    levels: list[tuple[int, int]] = []
    folded = table.folded
    for base in _LEVEL_NAMES:
        code = _find(folded, (base, f"{base}code", f"{base}id", f"{base}key", f"art{base}id"))
        title = _find(folded, (*(f"{base}{word}" for word in _TITLE), f"art{base}desc", f"{base}desc"))
        if code is not None and title is not None and code != title:
            levels.append((code, title))
    if len(levels) < 2:
        return None
    entries: dict[str, Entry] = {}
    for n, row in table.body:
        path: list[str | None] = []
        for code, title in levels:
            node_id = row[code].strip()
            if not node_id or not row[title].strip():
                continue
            path.append(row[title].strip())
            last = (code, title) == levels[-1]
            names = _other_names(table, row, title) if last else ()
            entries.setdefault(node_id, Entry(n, node_id, tuple(path), None, names))
    return Parsed(_titled_kind(folded), list(entries.values()))


def _find(folded: list[str], names: Sequence[str]) -> int | None:
    return next((folded.index(name) for name in names if name in folded), None)


def _titled_kind(folded: list[str]) -> str:
    text = " ".join(folded)
    if "brick" in text:
        return "GS1 GPC"
    return (
        "UNSPSC" if "commodity" in text or "segment" in text else "ETIM" if "art" in text else "coded levels"
    )


# -- parents -----------------------------------------------------------------------------------


def _by_parent(table: CategoryRows, columns: _Columns) -> Parsed | None:
    """Rows that name their parent by id, code, slug or name."""
    if columns.parent is None or columns.name is None:
        return None
    parents = [_root(cell) for cell in table.cells(columns.parent)]
    key = _referred(table, columns, parents)
    if key is None:
        return None
    ids = table.cells(key)
    first: dict[str, int] = {}
    for k, text in enumerate(ids):
        first.setdefault(text, k)
    names = [text or None for text in table.cells(columns.name)]
    sections = {text for text in parents if text not in first and is_section(text)}
    lines = {k: (names[k], "" if parents[k] in sections else parents[k]) for k in range(len(ids))}
    above = {ids[k]: (name, parent) for k, (name, parent) in lines.items() if first[ids[k]] == k}
    entries, problems = [], []
    for k, (n, row) in enumerate(table.body):
        parent = lines[k][1]
        if parent and parent not in above:
            problems.append(TreeProblem(n, "its parent is not in the file; read as a top category", parent))
        path = (*path_from_parents(parent, above), lines[k][0]) if parent in above else (lines[k][0],)
        entries.append(
            _entry(table, columns._replace(id=columns.id if columns.id is not None else key), n, row, path)
        )
    return Parsed(_parent_kind(table), without_technical_root(entries), tuple(problems))


def _root(cell: str) -> str:
    return "" if cell.casefold() in _ROOTS else cell.removesuffix(".0")


def _referred(table: CategoryRows, columns: _Columns, parents: Sequence[str]) -> int | None:
    """The column that parents refer to: the one that holds most of them."""
    options = [columns.id, *(table.column(name) for name in _REFERENCES)]
    referenced = {parent for parent in parents if parent}
    best, best_count = columns.id, -1
    for column in dict.fromkeys(k for k in options if k is not None and k != columns.parent):
        hits = len(referenced & set(table.cells(column)))
        if hits > best_count:
            best, best_count = column, hits
    return best if best_count > 0 or (not referenced and best is not None and columns.path is None) else None


def path_from_parents(node_id: str, table: Mapping[str, tuple[str | None, str]]) -> tuple[str | None, ...]:
    """The names from the top level down to a node.

    Args:
        node_id: the node.
        table: name and parent of each node, by id.

    Raises:
        TaxonomyError: a category is its own ancestor.
    """
    names: list[str | None] = []
    seen: set[str] = set()
    while node_id in table:
        if node_id in seen:
            raise TaxonomyError(f"category {node_id!r} is its own ancestor")
        seen.add(node_id)
        name, node_id = table[node_id]
        names.append(name)
    return tuple(reversed(names))


def without_technical_root(entries: list[Entry]) -> list[Entry]:
    """Without roots above all categories that shops never show: `Root Catalog`, `Default Category`."""
    while len(entries) > 1:
        tops = {entry.path[0] for entry in entries}
        root = next(iter(tops))
        if len(tops) > 1 or (root or "").casefold() not in (*_TECHNICAL, "root"):
            return entries
        entries = [entry._replace(path=entry.path[1:]) for entry in entries if len(entry.path) > 1]
    return entries


_TECHNICAL = ("root catalog", "default category", "master", "master catalog", "root category", "home")


def _parent_kind(table: CategoryRows) -> str:
    folded = set(table.folded)
    if "entityid" in folded:
        return "Magento categories"
    if "termid" in folded or {"slug", "parent"} <= folded:
        return "WooCommerce categories"
    if "hscode" in folded or "cncode" in folded:
        return "customs tariff (HS, CN)"
    if any(_LOCALE.match(name) for name in table.header) and {"code", "parent"} <= folded:
        return "Akeneo categories"
    return "ETIM" if "artclassid" in folded else "UNSPSC" if "parentkey" in folded else "parents by id"


# -- codes -------------------------------------------------------------------------------------


def _by_code(table: CategoryRows, columns: _Columns) -> Parsed | None:
    """Rows of a code and a title, nested by their codes; dashes before a title add levels, as in the CN."""
    code = table.column(*_CODES, *_IDS)
    if code is None or columns.name is None or columns.path is not None:
        return None
    codes = table.cells(code)
    scheme = find_scheme(codes, table.folded[code])
    if scheme is None:
        return None
    titles = [re.sub(r"^(?:[-–—]\s*)+", "", text) or None for text in table.cells(columns.name)]
    names: dict[str, tuple[str | None, str]] = {}
    for text, title in zip(codes, titles, strict=True):
        names.setdefault(text, (title, scheme.parent.get(text, "")))
    columns = columns._replace(id=code)
    entries = [
        _entry(table, columns, n, row, path_from_parents(text, names))
        for text, (n, row) in zip(codes, table.body, strict=True)
        if text and not is_section(text)
    ]
    problems = tuple(
        TreeProblem(codes.index(text) + 1, "its check digit is wrong", text) for text in scheme.invalid
    )
    return Parsed(scheme.kind, entries, problems)


# -- levels ------------------------------------------------------------------------------------


def _level_columns(table: CategoryRows) -> list[int]:
    levels = [(int(m[1] or m[2]), k) for k, name in enumerate(table.lower) if (m := _LEVEL.match(name))]
    return [k for _, k in sorted(levels)]


def _filled_levels(table: CategoryRows, levels: list[int], columns: _Columns) -> Iterator[Entry]:
    """The level cells of each row; leading blanks repeat the row above, as in spreadsheets."""
    above: list[str] = []
    for n, row in table.body:
        cells = [row[k].strip() for k in levels]
        cells = ["" if cell == "-1" or cell.casefold() in ("null", "nan") else cell for cell in cells]
        lead = next((k for k, cell in enumerate(cells) if cell), 0)
        above = above[:lead] + cells[lead:]
        yield _entry(table, columns, n, row, tuple(above))
