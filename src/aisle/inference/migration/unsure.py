"""Products whose old category does not say where they belong in the new tree."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aisle.atomic_files import atomic_text
from aisle.data import Catalog
from aisle.inference.label_targets import targets_in
from aisle.taxonomy import CategoryPath, format_path
from aisle.taxonomy.tree_diff import TaxonomyDiff
from aisle.taxonomy.tree_diff.moves import Move

_BATCH = 1024  # products scored at once
COLUMNS = ("id", "title", "category", "proposed_category", "confidence", "reason")


class UnsureProduct(NamedTuple):
    """A product whose category is to be checked.

    Attributes:
        position: of the product in the catalog.
        category: its old category.
        proposed: a category of the new tree; empty where none is proposed.
        confidence: in `proposed`, 0 to 1; None where no model was asked and the change says nothing.
        reason: what became of the old category.
    """

    position: int
    category: CategoryPath
    proposed: CategoryPath
    confidence: float | None
    reason: str


def unsure_products(
    catalog: Catalog, changes: TaxonomyDiff, every: tuple[Move, ...], model: Any = None
) -> Iterator[UnsureProduct]:
    """The products whose category was retired, split, or is uncertain, in order.

    Args:
        catalog: products with labels of the old tree.
        changes: the differences between the trees.
        every: (M,) where the products of each old node go.
        model: over the new tree; without one, only what the change says is proposed.
    """
    node = targets_in(changes.old, catalog).node
    rows = np.flatnonzero([n >= 0 and not every[n].sure for n in node.tolist()])
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        model_scores = None if model is None else model.confidences([catalog[int(i)] for i in batch])
        for k, i in enumerate(batch.tolist()):
            move = every[node[i]]
            proposed, confidence = _proposed(
                changes, move, None if model_scores is None else model_scores.logp[k]
            )
            yield UnsureProduct(i, changes.old.nodes[node[i]].path, proposed, confidence, _reason(move))


def _proposed(
    changes: TaxonomyDiff, move: Move, logp: np.ndarray | None
) -> tuple[CategoryPath, float | None]:
    """The most probable part of a split category; of a retired one, the most probable category."""
    tree = changes.new
    if logp is None:
        alone = len(move.targets) == 1
        return (tree.nodes[move.targets[0]].path, move.probability) if alone else ((), None)
    ends = [int(tree.terminal_of[t]) for t in move.targets if tree.terminal_of[t] >= 0]
    among = np.array(ends) if len(ends) > 1 else np.arange(len(logp))
    best = int(among[logp[among].argmax()])
    total = float(np.exp(logp[among]).sum())
    return tree.nodes[tree.terminals[best]].path, float(np.exp(logp[best])) / max(total, 1e-12)


def _reason(move: Move) -> str:
    if move.kind in ("retired", "split"):
        return f"its category was {move.kind}"
    return f"uncertain: {move.kind} with a probability of {move.probability:.0%}"


def write_unsure(file: Path, catalog: Catalog, products: Iterator[UnsureProduct]) -> int:
    """Write products to check into a CSV file.

    Returns:
        Their number.

    Raises:
        OSError: the file cannot be written.
    """
    from aisle.data.text import spreadsheet_text

    count = 0
    with atomic_text(file) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        for unsure in products:
            product = catalog[unsure.position]
            title = next(iter(product.fields.values()), "")
            confidence = "" if unsure.confidence is None else f"{unsure.confidence:.4f}"
            row = (
                product.id, product.fields.get("title", title), format_path(unsure.category),
                format_path(unsure.proposed), confidence, unsure.reason,
            )  # fmt: skip
            writer.writerow([spreadsheet_text(cell) for cell in row])
            count += 1
    return count
