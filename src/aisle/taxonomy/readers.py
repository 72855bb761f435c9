"""Reads published category trees; ids are kept, and irregularities reported as problems.

The format is detected by content: Google's text with ids, plain paths, indented text, CSV (with a path, a
column per level, or parent ids), the JSON of Best Buy and Shopify, nested JSON, and Aisle's own.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aisle.encodings import decode_entities, detect, foreign_format
from aisle.errors import TaxonomyError, did_you_mean
from aisle.regular_files import read_bytes
from aisle.taxonomy.tree import CategoryPath, Node, Taxonomy, format_path

_DELIMITERS = (
    " > ", " >> ", ">>", ">", "＞", " » ", "»", " › ", "›", " → ", "→",
    " | ", "|", "::", " / ", "/", "\\", ";",
)  # fmt: skip
_GOOGLE = re.compile(r"^\s*(\d+)\s+-\s+(.+)$")
_LEVEL = re.compile(
    r"^.*?(?:level|lvl|niveau|ebene|l)[ _-]?(\d+).*$|^(?:category|cat)[ _-]?(\d+)$", re.IGNORECASE
)
_ID = ("id", "category_id", "categoryid", "node_id", "code", "key", "gid")
_PATH = (
    "path", "category_path", "full_name", "fullname", "full_path", "breadcrumb", "category", "categories",
)  # fmt: skip
_NAME = ("name", "category_name", "title", "label")
_PARENT = ("parent_id", "parentid", "parent", "parent_category_id")
_CHILDREN = ("children", "subcategories", "subCategories", "categories", "nodes", "verticals", "child")
_TRUE = {"1", "true", "yes", "y", "t", "x"}


class TreeProblem(NamedTuple):
    """An irregularity in the file of a tree, and how it was read.

    Attributes:
        line: number of the line or entry, from 1.
        message: what is irregular.
        value: the text in question.
    """

    line: int
    message: str
    value: str

    def __str__(self) -> str:
        return f"tree, entry {self.line:,}: {self.message}: {self.value[:80]!r}"


class ReadTree(NamedTuple):
    """A tree, and the problems of its file."""

    taxonomy: Taxonomy
    problems: tuple[TreeProblem, ...]


class Entry(NamedTuple):
    """A category in a file.

    Attributes:
        line: number of the line or entry, from 1.
        id: its id; empty where the file has none.
        path: names from the top level down.
        assignable: whether products can be assigned to it, None where the file does not say.
    """

    line: int
    id: str
    path: tuple[str | None, ...]
    assignable: bool | None = None


def read_taxonomy(path: str | Path) -> Taxonomy:
    """Read a tree; `read_tree` also returns the problems of the file.

    Args:
        path: the file.

    Raises:
        TaxonomyError: the file is missing, or holds no tree.
    """
    return read_tree(path).taxonomy


def read_tree(path: str | Path) -> ReadTree:
    """Read a tree, and the problems of its file.

    Inner nodes are assignable only where a column `assignable` says so. A repeated path becomes one node,
    with the further ids as aliases; a category without a name gets its id as name. Both are reported as
    problems.

    Args:
        path: the file.

    Raises:
        TaxonomyError: as `read_taxonomy`.
    """
    path = Path(path)
    text = _text(path)
    try:
        if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
            data = json.loads(text)
            if isinstance(data, dict) and "nodes" in data and "aliases" in data:
                return ReadTree(Taxonomy.from_json(text), ())
            entries = list(_json_entries(data))
        elif path.suffix.lower() in (".csv", ".tsv", ".tab"):
            entries = _csv_entries(text, path)
        else:
            entries = _text_entries(text)
        return _build(entries)
    except TaxonomyError as error:
        raise TaxonomyError(f"{path}: {error}") from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise TaxonomyError(f"{path}: not a tree that can be read: {error}") from error


def _text(path: Path) -> str:
    try:
        raw = read_bytes(path)
    except OSError as error:
        near = did_you_mean(
            path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        )
        raise TaxonomyError(f"{path}: the tree cannot be read: {error.strerror}.{near}") from error
    encoding = detect(raw).name
    found = foreign_format(raw, encoding)
    if found is not None:
        raise TaxonomyError(
            f"{path}: no tree, but {found.split(';')[0].split(':')[0]}; a tree is text, CSV or JSON"
        )
    if b"\0" in raw and not encoding.startswith("utf-"):
        raise TaxonomyError(f"{path}: not text; a tree is text, CSV or JSON")
    text = raw.decode(encoding, "replace").lstrip("\ufeff")
    if "\0" in text:
        raise TaxonomyError(f"{path}: not text; a tree is text, CSV or JSON")
    return text


def _build(entries: list[Entry]) -> ReadTree:
    """Make nodes of the entries, and report irregularities."""
    problems: list[TreeProblem] = []
    nodes: dict[CategoryPath, Node] = {}
    aliases: dict[str, str] = {}
    ids: dict[str, CategoryPath] = {}
    written: dict[CategoryPath, tuple[str | None, ...]] = {}
    for entry in entries:
        path = _clean_path(entry, problems)
        if not path:
            continue
        node_id = entry.id or format_path(path)
        if ids.get(node_id, path) != path:
            problems.append(
                TreeProblem(entry.line, "its id was given to another category; left out", node_id)
            )
            continue
        ids[node_id] = path
        if path not in nodes:
            nodes[path], written[path] = Node(node_id, path, bool(entry.assignable)), entry.path
        elif nodes[path].id != node_id:
            same = "the same path" if entry.path == written[path] else "the same path but for spacing"
            message = f"{same} as id {nodes[path].id!r}; its id {node_id!r} now names that node too"
            problems.append(TreeProblem(entry.line, message, format_path(path)))
            aliases[node_id] = nodes[path].id
    return ReadTree(Taxonomy(nodes.values(), aliases), tuple(problems))


def _clean_path(entry: Entry, problems: list[TreeProblem]) -> CategoryPath:
    """The path without empty levels at the end; a category without a name gets its id as name."""
    names = [" ".join(decode_entities(name or "").split()) for name in entry.path]
    nameless = bool(names) and entry.path[-1] is None
    while names and not names[-1]:
        names.pop()
    if nameless:
        problems.append(TreeProblem(entry.line, "has no name; called by its id", entry.id))
        names.append(entry.id or "unnamed")
    if "" in names:
        problems.append(TreeProblem(entry.line, "a level above has no name; read without it", entry.id))
    return tuple(name for name in names if name)


# -- text -------------------------------------------------------------------------------------


def _text_entries(text: str) -> list[Entry]:
    """Google's `id - path`, paths, or names indented under their parents."""
    lines = [(n, line.rstrip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in lines if line.strip() and not line.lstrip().startswith("#")]
    numbered = [(n, m[1], m[2]) for n, line in lines if (m := _GOOGLE.match(line))]
    if len(numbered) > len(lines) / 2:
        split = _path_splitter([path for _, _, path in numbered])
        return [Entry(n, node_id, split(path)) for n, node_id, path in numbered]
    if any(line[0] in " \t" for _, line in lines):
        return list(_indented(lines))
    split = _path_splitter([line for _, line in lines])
    return [Entry(n, "", split(line)) for n, line in lines]


def _indented(lines: list[tuple[int, str]]) -> Iterator[Entry]:
    open_levels: list[tuple[int, str]] = []
    for n, line in lines:
        indent = len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())
        name = re.sub(r"^(?:[-*+•–]|\d+[.)])\s+", "", line.strip())
        node_id = ""
        if found := _GOOGLE.match(name):
            node_id, name = found[1], found[2]
        while open_levels and open_levels[-1][0] >= indent:
            open_levels.pop()
        open_levels.append((indent, name))
        yield Entry(n, node_id, tuple(name for _, name in open_levels))


def _path_splitter(paths: list[str]) -> Any:
    """A function that splits paths at the delimiter with which most paths are children of another one."""
    paths = [decode_entities(path) for path in paths]
    known = set(paths)

    def children(delimiter: str) -> tuple[int, int]:
        deep = [path for path in paths if delimiter in path]
        return sum(path.rsplit(delimiter, 1)[0] in known for path in deep), len(deep)

    best = max(_DELIMITERS, key=lambda delimiter: (*children(delimiter), len(delimiter)))
    if not children(best)[1]:
        return lambda path: (decode_entities(path),)
    return lambda path: tuple(decode_entities(path).split(best))


# -- CSV --------------------------------------------------------------------------------------


def _csv_entries(text: str, path: Path) -> list[Entry]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    rows = [
        row
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        if any(map(str.strip, row))
    ]
    if len(rows) < 2:
        raise TaxonomyError("the file holds no category below its header")
    header = [name.strip().lstrip("\ufeff").casefold() for name in rows[0]]
    body = [(n, [*row, *[""] * (len(header) - len(row))]) for n, row in enumerate(rows[1:], 1)]
    node_id, parent = _first(header, _ID), _first(header, _PARENT)
    name, whole = _first(header, _NAME), _first(header, _PATH)
    flag = header.index("assignable") if "assignable" in header else None
    levels = _level_columns(header)

    def entry(n: int, row: list[str], path: tuple[str | None, ...]) -> Entry:
        assignable = None if flag is None else row[flag].strip().casefold() in _TRUE
        return Entry(n, "" if node_id is None else row[node_id].strip(), path, assignable)

    if len(levels) > 1 or (levels and whole is None):
        return [entry(n, row, cells) for n, row, cells in _fill_down(body, levels)]
    if parent is not None and name is not None and node_id is not None:
        table = {row[node_id].strip(): (row[name].strip() or None, row[parent].strip()) for _, row in body}
        return [entry(n, row, _path_from_parents(row[node_id].strip(), table)) for n, row in body]
    whole = name if whole is None else whole
    if whole is None:
        columns = ", ".join(rows[0])
        raise TaxonomyError(f"no column named path, level1 … or name and parent_id; the file has: {columns}")
    split = _path_splitter([row[whole] for _, row in body])
    return [entry(n, row, split(row[whole])) for n, row in body]


def _first(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _level_columns(header: list[str]) -> list[int]:
    found = [(int(m[1] or m[2]), k) for k, name in enumerate(header) if (m := _LEVEL.match(name))]
    return [k for _, k in sorted(found)]


def _fill_down(
    body: list[tuple[int, list[str]]], levels: list[int]
) -> Iterator[tuple[int, list[str], tuple[str, ...]]]:
    """The level cells of each row; leading blanks repeat the row above, as in spreadsheets."""
    above: list[str] = []
    for n, row in body:
        cells = [row[k].strip() for k in levels]
        cells = ["" if cell == "-1" or cell.casefold() in ("null", "nan") else cell for cell in cells]
        lead = next((k for k, cell in enumerate(cells) if cell), 0)
        above = above[:lead] + cells[lead:]
        yield n, row, tuple(above)


def _path_from_parents(node_id: str, table: Mapping[str, tuple[str | None, str]]) -> tuple[str | None, ...]:
    names: list[str | None] = []
    seen: set[str] = set()
    while node_id in table:
        if node_id in seen:
            raise TaxonomyError(f"category {node_id!r} is its own ancestor")
        seen.add(node_id)
        name, node_id = table[node_id]
        names.append(name)
    return tuple(reversed(names))


# -- JSON -------------------------------------------------------------------------------------


def _json_entries(data: Any) -> Iterator[Entry]:
    items = data if isinstance(data, list) else [data]
    if items and all(isinstance(item, str) for item in items):
        split = _path_splitter(items)
        yield from (Entry(n, "", split(item)) for n, item in enumerate(items, 1))
        return
    if any(isinstance(item, dict) and _value(item, _PARENT) is not None for item in items):
        yield from _by_parent(items)
        return
    counter = iter(range(1, 10**9))
    for item in items:
        yield from _json_node(item, (), counter)


def _by_parent(items: list[Any]) -> Iterator[Entry]:
    table = {
        str(_value(item, _ID)): (_value(item, _NAME), str(_value(item, _PARENT) or "")) for item in items
    }
    for n, item in enumerate(items, 1):
        yield Entry(
            n,
            str(_value(item, _ID)),
            _path_from_parents(str(_value(item, _ID)), table),
            item.get("assignable"),
        )


def _value(item: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    folded = {str(key).casefold(): value for key, value in item.items()}
    return next((folded[name] for name in names if name in folded), None)


def _json_node(item: Any, above: tuple[str | None, ...], counter: Iterator[int]) -> Iterator[Entry]:
    """The entries of an object with a path, or with a name and children."""
    if not isinstance(item, dict):
        raise TaxonomyError(f"a category is an object, not {str(item)[:40]!r}")
    node_id, path = _value(item, _ID), _full_path(item)
    below: list[Any] = []
    if path is None:
        below = next((item[key] for key in _CHILDREN if isinstance(item.get(key), list)), [])
        name = _value(item, _NAME)
        is_heading = any(
            isinstance(child, dict) and _full_path(child) for child in below
        )  # Shopify's verticals
        path = None if name is None or is_heading else (*above, str(name))
    if path is not None:
        yield Entry(next(counter), "" if node_id is None else str(node_id), path, item.get("assignable"))
    for child in below:
        yield from _json_node(child, path or above, counter)


def _full_path(item: Mapping[str, Any]) -> tuple[str | None, ...] | None:
    """The path of an object: `path`, a list of objects (Best Buy), or `full_name` (Shopify)."""
    whole = _value(item, _PATH[:6])
    if isinstance(whole, list):
        return tuple(part.get("name") if isinstance(part, dict) else str(part) for part in whole)
    return tuple(whole.split(" > ")) if isinstance(whole, str) else None
