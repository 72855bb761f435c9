"""Writes a mapping as CSV or JSON, a random sample of it to check, and target ids into a copy of the feed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aisle.atomic_files import atomic_text
from aisle.data import Catalog
from aisle.errors import CatalogError
from aisle.mapping.decisions_file import Overrides, read_overrides, write_rows
from aisle.mapping.run import ALTERNATIVES, CategoryMapping
from aisle.taxonomy import Taxonomy, format_path

PRODUCTS_ENDING = ".products.csv"


def products_file(out: Path) -> Path:
    """The table of single products beside a mapping file."""
    return out.with_name(out.stem + PRODUCTS_ENDING)


def earlier_overrides(out: Path, tree: Taxonomy) -> Overrides:
    """The overrides that people wrote into the files of an earlier mapping.

    Args:
        out: the CSV file of the mapping; its table of single products is read too.
        tree: the target tree.

    Returns:
        No overrides where neither file exists.

    Raises:
        CatalogError: a file cannot be read, or has other columns.
    """
    found = Overrides()
    for file in (out, products_file(out)):
        if file.is_file():
            found |= read_overrides(file, tree)
    return found


def write_mapping(mapping: CategoryMapping, out: Path, catalog: Catalog | None = None) -> list[Path]:
    """Write a mapping: `.json`, or CSV with an empty column `override` to fill in.

    Args:
        mapping: the mapping.
        out: the file.
        catalog: of the products; single products are written beside a CSV file.

    Returns:
        The written files.

    Raises:
        CatalogError: `out` has another ending.
    """
    if out.suffix.lower() == ".json":
        with atomic_text(out) as file:
            json.dump(as_json(mapping, catalog), file, ensure_ascii=False, indent=1)
        return [out]
    if out.suffix.lower() != ".csv":
        raise CatalogError(f"{out}: a mapping is written as .csv or .json")
    write_rows(out, _category_rows(mapping))
    rows = list(_product_rows(mapping, catalog)) if catalog is not None else []
    if not rows:
        products_file(out).unlink(missing_ok=True)
        return [out]
    write_rows(products_file(out), rows)
    return [out, products_file(out)]


def path_of(tree: Taxonomy, node: int) -> str:
    """The path of a node; empty for none."""
    return "" if node < 0 else format_path(tree.nodes[node].path)


def id_of(tree: Taxonomy, node: int) -> str:
    """The id of a node; empty for none."""
    return "" if node < 0 else tree.nodes[node].id


def _category_rows(mapping: CategoryMapping) -> Iterator[dict[str, object]]:
    kept = mapping.overrides.categories
    for one in mapping.categories:
        row: dict[str, object] = {
            "category": path_of(mapping.source, one.node),
            "category_id": id_of(mapping.source, one.node),
            "products": one.products,
            "target": path_of(mapping.target, one.target),
            "target_id": id_of(mapping.target, one.target),
            "probability": f"{one.probability:.4f}",
            "decision": one.decision,
            "straddles": "yes" if one.straddles else "",
        }
        for k in range(ALTERNATIVES - 1):
            node, p = one.alternatives[k] if k < len(one.alternatives) else (-1, None)
            row[f"alternative_{k + 1}"] = path_of(mapping.target, node)
            row[f"alternative_{k + 1}_id"] = id_of(mapping.target, node)
            row[f"alternative_{k + 1}_probability"] = "" if p is None else f"{p:.4f}"
        row["override"] = id_of(mapping.target, kept.get(str(row["category"]), -1))
        yield row


def _product_rows(mapping: CategoryMapping, catalog: Catalog | None) -> Iterator[dict[str, object]]:
    if catalog is None:
        return
    node = catalog.targets().node
    for position in sorted(mapping.products):
        one, product = mapping.products[position], catalog[position]
        yield {
            "product": product.id,
            "title": product.fields.get("title", ""),
            "category": path_of(mapping.source, int(node[position])),
            "target": path_of(mapping.target, one.target),
            "target_id": id_of(mapping.target, one.target),
            "probability": f"{one.probability:.4f}",
            "decision": one.decision,
            "override": id_of(mapping.target, one.target) if one.decision == "override" else "",
        }


def as_json(mapping: CategoryMapping, catalog: Catalog | None = None) -> dict[str, Any]:
    """The mapping as one JSON object."""
    guarantee = mapping.guarantee
    return {
        "target": mapping.kind,
        "guarantee": {
            "precision": guarantee.precision,
            "alpha": guarantee.alpha,
            "basis": guarantee.basis,
            "holds": guarantee.holds,
            "pairs": guarantee.pairs,
            "errors": guarantee.errors,
            "lower": round(guarantee.lower, 4),
            "statement": guarantee.statement,
        },
        "counts": {name: mapping.count(name) for name in ("decided", "review", "override")},
        "unknown_overrides": list(mapping.overrides.unknown),
        "categories": [
            {
                "category": path_of(mapping.source, one.node),
                "category_id": id_of(mapping.source, one.node),
                "products": one.products,
                "target": path_of(mapping.target, one.target),
                "target_id": id_of(mapping.target, one.target),
                "probability": round(one.probability, 4),
                "decision": one.decision,
                "straddles": one.straddles,
                "alternatives": [
                    {
                        "target": path_of(mapping.target, n),
                        "target_id": id_of(mapping.target, n),
                        "probability": round(p, 4),
                    }
                    for n, p in one.alternatives
                ],
            }
            for one in mapping.categories
        ],
        "products": list(_product_rows(mapping, catalog)),
    }


def write_sample(mapping: CategoryMapping, out: Path, size: int) -> int:
    """Write a random sample of categories to check; a person fills in `right`: yes, no, or the right target.

    Args:
        mapping: the mapping.
        out: the CSV file.
        size: categories that are drawn, among those with products where there are any.

    Returns:
        The number of categories written.
    """
    pool = [one for one in mapping.categories if one.products] or list(mapping.categories)
    drawn = np.random.default_rng(0).permutation(len(pool))[:size]
    rows = [
        {
            "category": path_of(mapping.source, pool[k].node),
            "target": path_of(mapping.target, pool[k].target),
            "target_id": id_of(mapping.target, pool[k].target),
            "alternatives": " | ".join(path_of(mapping.target, n) for n, _ in pool[k].alternatives),
            "right": "",
        }
        for k in sorted(drawn.tolist())
    ]
    write_rows(out, rows)
    return len(rows)
