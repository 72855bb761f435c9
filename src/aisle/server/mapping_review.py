"""Review of a mapping file of `aisle map`: people set targets, and the next `aisle map` keeps them.

`aisle.mapping` is imported only by a server that has a mapping: it imports scikit-learn.
"""

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aisle.errors import AisleError, CatalogError
from aisle.server.errors import ApiError, ServerError
from aisle.taxonomy import Taxonomy, format_path

_KEYS = ("category", "product")
_STATES = ("review", "decided", "override")


class MappingTarget(NamedTuple):
    """A possible target: its path, its id, and its probability, None if it is not known."""

    path: str
    id: str
    probability: float | None


class MappingRow(NamedTuple):
    """A category, or a product of a category that straddles several targets.

    Attributes:
        kind: `category` or `product`.
        key: The path of the category, or the id of the product.
        title: The title of a product; empty for a category.
        category: The path of the shop's category.
        products: The number of products of a category; 1 for a product.
        state: `review`, `decided`, or `override`: a person set it.
        targets: The candidates, the most probable first.
        override: The path that a person set; empty for none.
    """

    kind: str
    key: str
    title: str
    category: str
    products: int
    state: str
    targets: Sequence[MappingTarget]
    override: str


class MappingReview:
    """A mapping file with its table of single products, read anew for every request, so that no change of
    `aisle map`, of a spreadsheet or of another person is lost.

    Attributes:
        file: The CSV file that `aisle map` wrote.
        tree: The target tree.
    """

    def __init__(self, file: Path, target: str) -> None:
        """Check that both can be read.

        Args:
            file: The CSV file.
            target: The target tree, as `--to` of `aisle map`.

        Raises:
            ServerError: The file is no mapping, or the tree cannot be read.
        """
        from aisle.mapping import products_file, read_target

        self.file, self._products = file, products_file(file)
        self._lock = threading.Lock()
        try:
            self.tree: Taxonomy = read_target(target).taxonomy
            self.rows()
        except AisleError as error:
            raise ServerError(f"--mapping: {error}") from error

    def rows(self) -> list[MappingRow]:
        """All categories, then all single products, in the order of the files.

        Raises:
            CatalogError: A file cannot be read, or is no mapping.
        """
        return [
            self._row(kind, row)
            for kind, file in zip(_KEYS, (self.file, self._products), strict=True)
            for row in self._read(kind, file)
        ]

    def counts(self) -> Mapping[str, int]:
        """The number of rows by state."""
        found = Counter(row.state for row in self.rows())
        return {state: found[state] for state in _STATES}

    def set(self, kind: str, key: str, target: str | None) -> MappingRow:
        """Set the target of a category or product; None takes it back.

        Raises:
            ApiError: There is no such row, or the tree lacks the target.
            CatalogError: A file cannot be read or written.
        """
        from aisle.mapping.decisions_file import write_rows

        node = None if target is None else self._find(target)
        if target is not None and node is None:
            raise ApiError(422, "no_such_category", f"{target[:200]!r} is not in the target tree")
        file = self.file if kind == "category" else self._products
        with self._lock:
            rows = self._read(kind, file)
            row = next((row for row in rows if row[kind].strip() == key), None)
            if row is None:
                raise ApiError(404, "no_such_mapping", f"the mapping has no {kind} {key[:200]!r}")
            row["override"] = "" if node is None else self.tree.nodes[node].id
            write_rows(file, rows)
        return self._row(kind, row)

    def _read(self, kind: str, file: Path) -> list[dict[str, str]]:
        from aisle.mapping.decisions_file import read_rows

        if kind == "product" and not file.is_file():
            return []
        rows = read_rows(file)
        if rows and not {kind, "target", "decision", "override"} <= set(rows[0]):
            raise CatalogError(f"{file} is no mapping of `aisle map`")
        return rows

    def _find(self, text: str) -> int | None:
        from aisle.mapping.decisions_file import find_node

        return find_node(self.tree, text)

    def _row(self, kind: str, row: Mapping[str, str]) -> MappingRow:
        chosen = self._find(row["override"]) if row["override"].strip() else None
        numbers = ["", *(name for name in row if re.fullmatch(r"alternative_\d+", name))]
        targets = []
        for number in numbers:
            path = row.get(number or "target", "")
            probability = row.get(f"{number}_probability" if number else "probability", "")
            if path:
                node_id = row.get(f"{number or 'target'}_id", "")
                targets.append(MappingTarget(path, node_id, float(probability) if probability else None))
        decided = "decided" if row["decision"] == "decided" else "review"
        return MappingRow(
            kind,
            row[kind].strip(),
            row.get("title", ""),
            row["category"],
            int(row.get("products") or 1),
            "override" if chosen is not None else decided,
            targets,
            "" if chosen is None else format_path(self.tree.nodes[chosen].path),
        )


def matching(rows: Sequence[MappingRow], state: str | None, words: str | None) -> list[MappingRow]:
    """The rows in a state whose category, title or target has all words, those with most products first."""
    asked = (words or "").casefold().split()

    def has_words(row: MappingRow) -> bool:
        text = " ".join([row.key, row.title, row.category, row.override, *(one.path for one in row.targets)])
        return all(word in text.casefold() for word in asked)

    found = [row for row in rows if state in (None, row.state) and has_words(row)]
    return sorted(found, key=lambda row: -row.products)


def row_json(row: MappingRow) -> dict[str, Any]:
    """A row as JSON."""
    return {**row._asdict(), "targets": [target._asdict() for target in row.targets]}
