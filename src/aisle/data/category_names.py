"""Reads the file by which codes of categories become names, such as Akeneo's category export."""

from pathlib import Path

from aisle.data.dialects.header import Header
from aisle.data.dialects.schema import CategoryFile
from aisle.data.files import TableFile
from aisle.data.problems import Problems
from aisle.data.readers import reader_of
from aisle.data.readers.base import ReadOptions

_MAX_DEPTH = 50


def read_category_names(rules: CategoryFile, source: Path) -> dict[str, tuple[str, ...]] | None:
    """Code -> path of names, root first; None without such a file.

    Args:
        rules: Names of the file and of its columns.
        source: The file, or the folder in which it is looked for.

    Raises:
        CatalogError: The file cannot be read.
    """
    for path in _candidates(rules, source):
        table = TableFile(path)
        rows: dict[str, tuple[str, str]] = {}
        for batch in reader_of(table).read(table, Problems(), 1, ReadOptions()):
            header = Header(batch.schema.names)
            code, parent = header.find(rules.code), header.find(rules.parent)
            names = header.find_all(rules.name)
            if code is None or not names:
                break
            for row in batch.to_pylist():
                name = next((row[one] for one in names if row[one]), None) or row[code]
                if row[code]:
                    rows[row[code].strip()] = (name.strip(), (row[parent] or "").strip() if parent else "")
        if rows:
            return {code: _path(code, rows) for code in rows}
    return None


def _candidates(rules: CategoryFile, source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return sorted({path for pattern in rules.files for path in source.glob(pattern) if path.is_file()})


def _path(code: str, rows: dict[str, tuple[str, str]]) -> tuple[str, ...]:
    """The names from the root to a category."""
    names: list[str] = []
    while code in rows and len(names) < _MAX_DEPTH:
        name, code = rows[code]
        names.append(name)
    return tuple(reversed(names))
