"""Going on from an earlier model (`--init-from`): its tree, grown, and the rows it has seen. No torch
here."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aisle.models.label_embeddings import carry_counts
from aisle.progress import Progress
from aisle.taxonomy import Targets, Taxonomy, format_path


def grow(
    start: Any, tree: Taxonomy, targets: Targets, official: bool, progress: Progress
) -> tuple[Taxonomy, Targets]:
    """The earlier tree with the new rows' categories too, and where the rows are in it; an official tree as
    it is, and what is no longer in it is said."""
    old = start.taxonomy
    if not official:
        there = {node.path: i for i, node in enumerate(old.nodes)}
        more = [node for node in tree.nodes if node.path not in there]
        again = [there[node.path] for node in tree.nodes if node.path in there and node.assignable]
        grown = Taxonomy([*old.with_assignable(again).nodes, *more], old.aliases)
        number = np.array([grown.index(node.path) for node in tree.nodes], dtype=np.int64)
        tree, targets = grown, Targets(number[targets.node], targets.exact)
    if gone := [node.path for node in old.nodes if tree.find(node.id) is None]:
        progress.say(
            f"{len(gone):,} categories of the model to start from are not in this tree any more, such as "
            f"{format_path(gone[0])!r}: what was learned of them is left behind"
        )
    fresh = sum(old.find(node.id) is None for node in tree.nodes)
    progress.say(f"going on from model {start.model_id}: {fresh:,} of {len(tree):,} categories are new")
    return tree, targets


def seen_to_fit(parts: Sequence[np.ndarray], seen: np.ndarray, groups: np.ndarray) -> list[np.ndarray]:
    """Rows that the earlier model learned from, and their near-duplicates, are learned from again: calibrated
    on, they would flatter it (design rule 9). parts: sorted row numbers, those to learn from first; seen and
    groups (n,)."""
    known = np.isin(groups, np.unique(groups[seen]))
    aside = [rows[~known[rows]] for rows in parts[1:]]
    return [np.setdiff1d(np.arange(len(groups)), np.concatenate(aside)), *aside]


def counts_of(start: Any, taxonomy: Taxonomy, counts: np.ndarray) -> np.ndarray:
    """(N,) products a terminal: of then or of now, whichever are more: new files often hold the old rows."""
    return np.maximum(carry_counts(start.context, taxonomy), counts)
