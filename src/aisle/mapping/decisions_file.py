"""Files that people fill in: overrides of categories and products, and pairs that they checked."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aisle.atomic_files import atomic_text
from aisle.encodings import detect
from aisle.errors import CatalogError
from aisle.regular_files import read_bytes
from aisle.taxonomy import DELIMITER, Taxonomy

_YES = {"yes", "y", "1", "true", "x", "ok", "right", "✓"}
_NO = {"no", "n", "0", "false", "wrong"}


@dataclass(frozen=True)
class Overrides:
    """Targets that people set.

    Attributes:
        categories: node of the target tree, by path of the shop's category.
        products: node of the target tree, by product id.
        unknown: targets that the tree lacks, as they are written.
    """

    categories: Mapping[str, int] = field(default_factory=dict)
    products: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def __or__(self, other: "Overrides") -> "Overrides":
        return Overrides(
            {**self.categories, **other.categories},
            {**self.products, **other.products},
            (*self.unknown, *other.unknown),
        )


@dataclass(frozen=True)
class CheckedPair:
    """A category whose target a person checked.

    Attributes:
        category: path of the shop's category.
        target: its node in the target tree; None where only `not` is known.
        refused: the node that is wrong; None where `target` is known.
    """

    category: str
    target: int | None
    refused: int | None = None


def read_overrides(file: Path, tree: Taxonomy) -> Overrides:
    """Overrides in a CSV file: `category` or `product`, and `override` (or `target`).

    A mapping file that was written before is one: its filled `override` cells count, and no others.

    Args:
        file: the CSV file.
        tree: the target tree; targets are ids or paths in it.

    Raises:
        CatalogError: it cannot be read, or lacks the columns.
    """
    rows = read_rows(file)
    column = "override" if rows and "override" in rows[0] else "target"
    if rows and (column not in rows[0] or not {"category", "product"} & set(rows[0])):
        raise CatalogError(
            f"{file}: overrides have a column category or product, and one named override or target"
        )
    categories: dict[str, int] = {}
    products: dict[str, int] = {}
    unknown: list[str] = []
    for row in rows:
        text = row[column].strip()
        if not text:
            continue
        node = find_node(tree, text)
        if node is None:
            unknown.append(text)
        elif row.get("product", "").strip():
            products[row["product"].strip()] = node
        else:
            categories[row["category"].strip()] = node
    return Overrides(categories, products, tuple(unknown))


def read_checked(file: Path, tree: Taxonomy) -> list[CheckedPair]:
    """Checked pairs in a CSV file: `category`, and `right` (yes, no, or the right target) or `target`.

    Args:
        file: the CSV file.
        tree: the target tree.

    Raises:
        CatalogError: it cannot be read, lacks the columns, or names a target that the tree lacks.
    """
    rows = read_rows(file)
    if not rows or "category" not in rows[0] or not {"right", "target", "target_id"} & set(rows[0]):
        raise CatalogError(
            f"{file}: checked pairs have the columns category and right (yes, no, or the target), or target"
        )
    pairs = []
    for n, row in enumerate(rows, 2):
        shown = row.get("target_id", "").strip() or row.get("target", "").strip()
        right = row.get("right", "yes").strip()
        if not right or (right.casefold() in _YES | _NO and not shown):
            continue
        text = shown if right.casefold() in _YES | _NO else right
        node = find_node(tree, text)
        if node is None:
            raise CatalogError(
                f"{file}, row {n}: {text!r} is not in the target tree.{tree.did_you_mean(text)}"
            )
        wrong = right.casefold() in _NO
        pairs.append(CheckedPair(row["category"].strip(), None if wrong else node, node if wrong else None))
    return pairs


def find_node(tree: Taxonomy, text: str) -> int | None:
    """A node by id, alias, or path with ` > `; spaces around levels do not matter."""
    node = tree.find(text.strip())
    return tree.find([part.strip() for part in text.split(DELIMITER.strip())]) if node is None else node


def read_rows(file: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file; names of columns in lower case.

    Raises:
        CatalogError: it cannot be read.
    """
    try:
        raw = read_bytes(file)
    except OSError as error:
        raise CatalogError(f"{file} cannot be read: {error.strerror}") from error
    text = raw.decode(detect(raw).name, "replace").lstrip("\ufeff")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = {name: (name or "").strip().casefold() for name in reader.fieldnames or ()}
    return [
        {names[k]: v or "" for k, v in row.items() if k in names and not isinstance(v, list)}
        for row in reader
    ]


def write_rows(file: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV file, whole or not at all."""
    rows = list(rows)
    with atomic_text(file) as out:
        writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
