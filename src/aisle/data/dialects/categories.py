"""Reads the category cells of a shop export."""

from collections.abc import Mapping, Sequence

from aisle.data.column_parsers import as_text
from aisle.data.dialects.cells import Path, category_paths, category_text
from aisle.data.dialects.nested_categories import NestedCategories
from aisle.data.dialects.schema import AUTO, CategoryRules
from aisle.data.label_styles import detect_style
from aisle.data.labels import LabelStyle, levels_of, parse_label, root_of
from aisle.data.records import Records

_MAX_CACHED = 100_000  # cells whose text is kept


class CategoryReader:
    """Reads the category cells of an export.

    Args:
        rules: How categories are written.
        records: The rows of the export.
        columns: The columns that hold categories, the likeliest first.
        names: Code -> path of names, where categories are written as codes.
    """

    def __init__(
        self,
        rules: CategoryRules,
        records: Records,
        columns: Sequence[str],
        names: Mapping[str, Path] | None = None,
    ) -> None:
        self._rules, self._names = rules, names
        self._styles: dict[str, LabelStyle] = {}
        if rules.separator == AUTO:
            self._styles = {name: _found_style(_distinct(records, name), rules.delimiter) for name in columns}
        self._texts: dict[tuple[str, ...], str] = {}
        self._none = {(name.casefold(),) for name in rules.no_category}
        self._roots = {root.casefold() for root in rules.drop_roots}
        self._nested: dict[str, NestedCategories] = {}
        if rules.nested:
            lists = {name: [self._paths(name, cell) for cell in _distinct(records, name)] for name in columns}
            self._nested = {name: NestedCategories(cells) for name, cells in lists.items()}
        if rules.common_root and columns:
            self._roots |= self._common_root(records, columns[0])

    def text(self, column: str, cells: Sequence[str | None]) -> str:
        """The categories of a product, `A > B`, one a line.

        Args:
            column: The column.
            cells: Its cells in the rows of the product.
        """
        key = (column, *(cell for cell in cells if cell))
        if key not in self._texts:
            if len(self._texts) > _MAX_CACHED:
                self._texts.clear()
            paths = [self._without_root(path) for cell in key[1:] for path in self._paths(column, cell)]
            self._texts[key] = category_text(
                dict.fromkeys(path for path in paths if path and not self.is_none(path))
            )
        return self._texts[key]

    def _paths(self, column: str, cell: str) -> list[Path]:
        style = self._styles.get(column)
        if style is not None and not cell.lstrip().startswith("["):
            return list(parse_label(cell, style).paths)
        paths = category_paths(cell, self._rules, self._names)
        return self._nested[column].paths(paths) if column in self._nested else paths

    def is_none(self, path: Path) -> bool:
        """Whether the category is a placeholder for no category."""
        return tuple(name.casefold() for name in path) in self._none

    def _without_root(self, path: Path) -> Path:
        return path[1:] if path[0].casefold() in self._roots else path

    def _common_root(self, records: Records, column: str) -> set[str]:
        """The root that all categories share, ignoring case; empty if there is none."""
        paths = [path for cell in _distinct(records, column) for path in self._paths(column, cell)]
        roots = {path[0].casefold() for path in paths}
        return roots if len(roots) == 1 and min(map(len, paths)) > 1 else set()


def _found_style(cells: Sequence[str], delimiter: str | None) -> LabelStyle:
    """How cells are written; a comma separates categories at least before a root of the column."""
    style = detect_style(cells, delimiter)
    if style.separator is not None or delimiter is None:
        return style
    roots = {root_of(cell, style) for cell in cells if levels_of(cell, style)[1:]}
    return style._replace(separator=",", roots=frozenset(roots)) if roots else style


def _distinct(records: Records, column: str) -> list[str]:
    cells: dict[str, None] = {}
    for array in records.column(column):
        cells.update(dict.fromkeys(cell for cell in as_text(array).unique().to_pylist() if cell))
    return list(cells)
