"""Reads a tree from a tree's file, from the labels of a catalog, or from a model."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.data.catalog import Catalog
from aisle.data.reading import read
from aisle.data.text import fold_spelling
from aisle.errors import AisleError, TaxonomyError
from aisle.taxonomy import Taxonomy, read_tree

_TREE_ONLY = (".txt",)
_REPEATED = 0.8  # distinct categories per row of a catalog, at most; in a tree's file each row has its own


class TreeSource(NamedTuple):
    """A tree, and the catalog whose labels span it.

    Attributes:
        taxonomy: the tree.
        catalog: None where the file holds a tree only.
    """

    taxonomy: Taxonomy
    catalog: Catalog | None = None


def open_tree(path: str | Path) -> TreeSource:
    """Read a tree.

    Args:
        path: a tree's file, a catalog with labels, or the folder of a run or a model.

    Raises:
        TaxonomyError: the file is missing, or holds neither a tree nor labels.
    """
    path = Path(path)
    for saved in (path / "taxonomy.json", path / "model" / "taxonomy.json"):
        if saved.is_file():
            return TreeSource(Taxonomy.from_json(saved.read_text("utf-8")))
    tree, failed = None, None
    if not path.is_dir():
        try:
            tree = read_tree(path).taxonomy
        except TaxonomyError as error:
            failed = error
        if path.suffix.lower() in _TREE_ONLY or not path.exists():
            return TreeSource(_found(tree, failed, path))
    catalog = _labelled(path)
    if catalog is not None:
        labelled = int((catalog.targets().node >= 0).sum())
        distinct = len(np.unique(catalog.targets().node))
        if tree is None or distinct <= _REPEATED * labelled:
            return TreeSource(catalog.taxonomy, catalog)
    return TreeSource(_found(tree, failed, path))


def _found(tree: Taxonomy | None, failed: TaxonomyError | None, path: Path) -> Taxonomy:
    if tree is None:
        raise failed or TaxonomyError(f"{path} holds neither a tree nor products with categories")
    return tree


def _labelled(path: Path) -> Catalog | None:
    """The catalog in a file; None where it is none, or has no labels."""
    try:
        catalog = read(path)
        return catalog if catalog.fields and catalog.labelled and len(catalog.taxonomy) else None
    except AisleError:
        return None


def common_products(old: TreeSource, new: TreeSource) -> list[tuple[int, int]]:
    """The old and the new node of each product that both catalogs have, by title; of equal titles by id."""
    if old.catalog is None or new.catalog is None:
        return []
    before, after = _by_title(old.catalog), _by_title(new.catalog)
    pairs = [(before[key], after[key]) for key in before.keys() & after.keys()]
    return sorted(pair for pair in pairs if min(pair) >= 0)


def _by_title(catalog: Catalog) -> dict[str, int]:
    """The node of each product whose title, or title and id, no other one has."""
    nodes = catalog.targets().node.tolist()
    field = "title" if "title" in catalog.fields else catalog.fields[0]
    titles = [fold_spelling(product.fields.get(field, "")) for product in catalog]
    often = Counter(titles)
    rows: dict[str, int] = {}
    for product, title, node in zip(catalog, titles, nodes, strict=True):
        if not title:
            continue
        key = title if often[title] == 1 else f"{title}\0{product.id}"
        rows[key] = -1 if key in rows else node
    return rows
