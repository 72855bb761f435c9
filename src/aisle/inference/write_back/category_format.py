"""How a category is written into the cells of a shop export."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aisle.data import Catalog
from aisle.data.catalog_format import CatalogFormat
from aisle.data.category_names import read_category_names
from aisle.data.category_objects import LISTED, category_objects, object_of
from aisle.data.dialects import Dialect
from aisle.data.dialects.cells import category_paths
from aisle.data.dialects.header import Header
from aisle.data.dialects.schema import AUTO, CategoryRules
from aisle.data.files import TableFile
from aisle.data.label_styles import detect_style
from aisle.data.problems import Problems
from aisle.data.readers import reader_of
from aisle.data.readers.base import ReadOptions
from aisle.data.readers.xml_reader import xml_category_paths
from aisle.data.rewriting.edits import JsonCell
from aisle.data.text import fold_spelling, parse_list
from aisle.encodings import decode_entities
from aisle.inference.write_back.decisions import ChosenCategory
from aisle.taxonomy import DELIMITER, CategoryPath, format_path

Listed = Literal["", "levels", "paths", "ids"]
_ROWS = 10_000  # by whose cells the root of the categories is found


@dataclass(frozen=True)
class CategoryFormat:
    """How categories are written in the cells of an export.

    Attributes:
        columns: The columns that are filled: one, or one per level.
        read: Reads the paths in a cell.
        value: What is written: the path, the name of its last level, or the id.
        delimiter: Separates levels.
        prefix: Stands before a path.
        escaped: The characters that are escaped in names.
        escape: What precedes them.
        root: The root that the export has before all paths; empty if it has none.
        coded: Whether categories are written as codes.
        codes: Folded path -> code, where a file gives codes their names.
        every_row: Whether all rows of a product are filled; else the one that describes it.
        labelled_rows: Whether other rows that have a category are filled too; not where each row holds one
            of the categories of the product.
        extra_columns: Whether decision and confidence become columns of the export.
        listed: What the items of a JSON list in the cell are, where categories are written as one: the levels
            of a path, paths, or ids as numbers.
        objects: Name -> JSON object of a category, where they are written as objects; with the key `[]` where
            a product has a list of them.
    """

    columns: tuple[str, ...]
    read: Callable[[str], Iterable[CategoryPath]]
    value: str = "path"
    delimiter: str = DELIMITER
    prefix: str = ""
    escaped: str = ""
    escape: str = ""
    root: str = ""
    coded: bool = False
    codes: Mapping[CategoryPath, str] | None = None
    every_row: bool = True
    labelled_rows: bool = True
    extra_columns: bool = True
    listed: Listed = ""
    objects: Mapping[str, Any] = field(default_factory=dict)

    def cells(self, category: ChosenCategory) -> tuple[str, ...] | None:
        """The cells of a category; None where it has no code in this shop."""
        path = category.path
        if len(self.columns) > 1:
            return (*path, *[""] * len(self.columns))[: len(self.columns)]
        if self.coded and self.codes is None and not _are_codes(path):
            return None
        if self.codes is not None:
            code = self.codes.get(_folded(path), path[0] if path[0].isdigit() else None)
            return None if code is None else (code,)
        if self.listed == "ids" and category.id.isdigit():
            return (JsonCell(f"[{category.id}]"),)
        if self.value == "id" and category.id != format_path(path):
            return (category.id,)
        if self.objects:
            return (JsonCell(self._as_objects(path)),)
        if self.listed == "levels":
            return (JsonCell(json.dumps(list(path), ensure_ascii=False)),)
        if self.value == "name":
            return (self._escaped(path[-1]),)
        rooted = self.root and fold_spelling(path[0]) != fold_spelling(self.root)
        text = self.prefix + self.delimiter.join(map(self._escaped, (self.root, *path) if rooted else path))
        return (JsonCell(json.dumps([text], ensure_ascii=False)) if self.listed == "paths" else text,)

    def _as_objects(self, path: CategoryPath) -> str:
        """The JSON of a category whose file writes objects: its levels where those are listed."""
        names = path if self.listed == "levels" else path[-1:]
        candidates = [text for text in (self.delimiter.join(path), format_path(path)) if text in self.objects]
        texts = [object_of(self.objects, name) for name in (candidates[:1] or names)]
        return f"[{', '.join(texts)}]" if LISTED in self.objects else texts[-1]

    def holds(self, cells: Sequence[str], category: ChosenCategory) -> bool:
        """Whether cells name a category already, or one below it."""
        path = _folded(category.path)
        if len(self.columns) > 1:
            return _folded(cells)[: len(path)] == path
        cell = cells[0].strip()
        if not cell:
            return False
        if (cell,) == self.cells(category):
            return True
        return any(self._without_root(other)[: len(path)] == path for other in map(_folded, self.read(cell)))

    def _without_root(self, path: CategoryPath) -> CategoryPath:
        return path[1:] if self.root and path[:1] == _folded([self.root]) and len(path) > 1 else path

    def _escaped(self, name: str) -> str:
        return "".join(self.escape + mark if mark in self.escaped else mark for mark in name)


def _are_codes(path: CategoryPath) -> bool:
    """Whether a path is of a model that knows categories by their codes."""
    return all(map(str.isdigit, path)) or (len(path) == 1 and re.fullmatch(r"\w+", path[0]) is not None)


def _folded(names: Iterable[str]) -> CategoryPath:
    return tuple(map(fold_spelling, names))


class _Sample(NamedTuple):
    """The columns of a file as it has them, and its first rows."""

    names: list[str]
    rows: list[dict[str, Any]]
    usual: dict[str, Sequence[str]]  # cells of columns that have none in these rows

    @classmethod
    def of(cls, table: TableFile, options: ReadOptions) -> "_Sample":
        names: dict[str, None] = {}
        rows: list[dict[str, Any]] = []
        for batch in reader_of(table).read(table, Problems(), 1, options):
            names.update(dict.fromkeys(batch.schema.names))
            rows += batch.slice(0, _ROWS - len(rows)).to_pylist()
            if len(rows) >= _ROWS:
                break
        return cls(list(names), rows, {})

    def cells(self, column: str) -> Sequence[str]:
        """The filled cells of a column; those of the training catalog where it has none here."""
        texts = (row[column].strip() for row in self.rows if isinstance(row.get(column), str))
        filled = [text for text in texts if text not in ("", "[]", "{}")]
        return filled or self.usual.get(column, ())


def category_format(
    catalog: Catalog,
    table: TableFile,
    options: ReadOptions,
    trained: CatalogFormat | None = None,
    category_file: Path | None = None,
) -> CategoryFormat:
    """How categories are written into an export.

    Args:
        catalog: The catalog that was read from it.
        table: The export.
        options: How it was read.
        trained: The format of the model's training catalog.
        category_file: The file that gives codes of categories their names. Default: found beside the export.
    """
    sample, trained = _Sample.of(table, options), trained or CatalogFormat()
    column = trained.columns.get("category")
    sample.usual.update({column: trained.category_cells} if column else {})
    if catalog.dialect is not None:
        format_ = _of_dialect(catalog.dialect, sample, trained, table, options, category_file)
    else:
        format_ = _of_table(catalog, sample, trained.columns)
    name = format_.columns[0]
    if len(format_.columns) > 1 or format_.codes is not None:
        return format_
    category_values = category_objects(table.path, name, options.encoding)
    objects = {**(trained.category_objects if name == column else {}), **category_values}
    if not objects:
        return format_
    nested = catalog.dialect is not None and catalog.dialect.category.nested
    return replace(format_, objects=objects, listed="levels" if nested else format_.listed)


def _of_table(catalog: Catalog, sample: _Sample, trained_roles: Mapping[str, Any]) -> CategoryFormat:
    """The columns that the model learned from, else the file's own, else new ones of the former's names."""
    trained = tuple(trained_roles.get("levels", ())), trained_roles.get("category")
    label_columns = tuple(catalog.columns.levels), catalog.columns.category
    columns = [
        (levels if set(levels) <= set(sample.names) else (), name if name in sample.names else None)
        for levels, name in (trained, label_columns)
    ]
    levels, name = next((pair for pair in (*columns, trained) if any(pair)), ((), "category"))
    if levels:
        return CategoryFormat(levels, lambda _: ())
    delimiter = trained_roles.get("delimiter")
    value = "path" if delimiter or not trained_roles else "name" if delimiter == "" else "id"
    if name is not None and name != trained[1]:  # a column that the model did not learn from
        style = detect_style(dict.fromkeys(sample.cells(name)))
        if style.delimiter is not None:
            value, delimiter = "path", f" {style.delimiter} " if style.spaced else style.delimiter
    listed = _listed(sample.cells(name or ""), delimiter)
    delimiter = delimiter or DELIMITER

    def read(cell: str) -> list[CategoryPath]:
        items = parse_list(cell) if listed else None
        if items is not None and listed == "levels":
            return [tuple(map(str, items))]
        texts = map(str, items) if items is not None else (cell,)
        return [
            tuple(name.strip() for name in decode_entities(text).split(delimiter.strip()) if name.strip())
            for text in texts
        ]

    prefix = _prefix(sample.cells(name or ""), delimiter)
    return CategoryFormat((name or "category",), read, value, delimiter, prefix, listed=listed)


def _prefix(cells: Sequence[str], delimiter: str) -> str:
    """The delimiter, where most paths begin with it: `/audio/headphones`."""
    begin = sum(cell.lstrip().startswith(delimiter.strip()) for cell in cells)
    return delimiter.strip() if 2 * begin > len(cells) else ""


def _listed(cells: Sequence[str], delimiter: str | None) -> Listed:
    """The kind of items of the JSON lists in a column; empty if most cells are plain text."""
    lists = [items for cell in cells if cell.lstrip().startswith("[") and (items := parse_list(cell))]
    if not lists or 2 * len(lists) < len(cells):
        return ""
    texts = [item for items in lists for item in items]
    if all(isinstance(text, int) for text in texts):
        return "ids"
    mark = (delimiter or "").strip()
    return "paths" if mark and any(mark in str(text) for text in texts) else "levels"


def _of_dialect(
    dialect: Dialect,
    sample: _Sample,
    trained: CatalogFormat,
    table: TableFile,
    options: ReadOptions,
    category_file: Path | None,
) -> CategoryFormat:
    rules, category = dialect.write_back, dialect.category
    header = Header(sample.names)
    existing, learned = header.find_all(rules.columns), trained.columns.get("category")
    if learned in header.find_all(category.columns) and not category.in_document:
        existing = [str(learned)]
    known = (*rules.columns, *category.columns, "category")
    column = existing[0] if existing else known[0].strip("*")
    names, coded = None, category.names is not None and rules.value == "id"
    if category.names is not None and coded:
        is_given = category_file is not None
        source, export = (category_file, None) if is_given else (table.path.parent, table.path)
        names = read_category_names(category.names, source, export) or dict(trained.category_codes) or None
    elif category.in_document:
        names = xml_category_paths(table, options.encoding)
    separator = rules.separator or category.separator or ""
    marks = "" if separator == AUTO else separator.strip()
    cells = sample.cells(column)
    root, delimiter = _root(category, cells), rules.delimiter
    if category.nested and not any(delimiter.strip() in cell for cell in cells):
        delimiter = _separator(category.separator, cells) or delimiter

    def read(cell: str) -> list[CategoryPath]:
        return category_paths(cell, category, names)

    return CategoryFormat(
        (column,),
        read,
        rules.value,
        delimiter,
        rules.prefix,
        marks + rules.delimiter.strip(),
        rules.escape or category.escape or "",
        root,
        coded,
        None if names is None else _codes(names),
        rules.every_row,
        not category.all_rows,
        rules.extra_columns,
    )


def _separator(mark: str | None, cells: Sequence[str]) -> str | None:
    """The separator of a product's categories, with the space after it if cells have one."""
    holding = [cell for cell in cells if mark and mark in cell]
    spaced = bool(holding) and all(f"{mark} " in cell for cell in holding)
    return f"{mark} " if spaced else mark


def _codes(names: Mapping[str, CategoryPath]) -> dict[CategoryPath, str]:
    """Folded path -> code, with the root of all and without it."""
    codes = {_folded(path[1:]): code for code, path in names.items() if len(path) > 1}
    return codes | {_folded(path): code for code, path in names.items()}


def _root(rules: CategoryRules, cells: Sequence[str]) -> str:
    """The root before the paths of an export: the one that its cells have, else the platform's usual one."""
    if not (rules.drop_roots or rules.common_root):
        return ""
    if not cells:
        return rules.drop_roots[0] if rules.drop_roots else ""
    paths = [path for cell in cells for path in category_paths(cell, rules)]
    (root, count), *_ = Counter(path[0] for path in paths).most_common(1)
    known = {fold_spelling(name) for name in rules.drop_roots}
    shared = rules.common_root and count == len(paths) and any(len(path) > 1 for path in paths)
    return root if shared or fold_spelling(root) in known else ""
