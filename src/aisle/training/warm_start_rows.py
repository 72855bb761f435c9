"""Warm start (`--init-from`): the merged tree, the split and the counts of new rows. No torch here."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aisle.data import Product
from aisle.models.label_embeddings import carry_counts
from aisle.models.preprocessing import TfidfPreprocessor
from aisle.models.views import View
from aisle.progress import Progress
from aisle.taxonomy import Targets, Taxonomy, format_path


def merge_taxonomies(
    start: Any, tree: Taxonomy, targets: Targets, official: bool, progress: Progress
) -> tuple[Taxonomy, Targets]:
    """Merge the tree of an earlier model with that of new rows.

    Args:
        start: the earlier model.
        tree: the tree of the new rows.
        targets: their labels in `tree`.
        official: whether `tree` is an official tree, which is used as it is.
        progress: shows how many categories are new, and how many are gone.

    Returns:
        The merged tree, and the labels in it.
    """
    old = start.taxonomy
    if not official:
        old_node = {node.path: i for i, node in enumerate(old.nodes)}
        added = [node for node in tree.nodes if node.path not in old_node]
        assignable = [old_node[node.path] for node in tree.nodes if node.path in old_node and node.assignable]
        merged = Taxonomy([*old.with_assignable(assignable).nodes, *added], old.aliases)
        number = np.array([merged.index(node.path) for node in tree.nodes], dtype=np.int64)
        tree, targets = merged, Targets(number[targets.node], targets.exact)
    if missing := [node.path for node in old.nodes if tree.find(node.id) is None]:
        progress.say(
            f"{len(missing):,} categories of the model to start from are not in this tree any more, such as "
            f"{format_path(missing[0])!r}: what was learned of them is left behind"
        )
    new = sum(old.find(node.id) is None for node in tree.nodes)
    progress.say(f"going on from model {start.model_id}: {new:,} of {len(tree):,} categories are new")
    return tree, targets


def move_seen_to_train(parts: Sequence[np.ndarray], seen: np.ndarray, groups: np.ndarray) -> list[np.ndarray]:
    """Move rows that the earlier model was trained on, and their near-duplicates, to the training rows.

    Calibration on them would be optimistic (design rule 9).

    Args:
        parts: sorted rows of each part, the training rows first.
        seen: (n,) bool, whether the earlier model was trained on a row.
        groups: (n,) group of near-duplicates of each row.

    Returns:
        The new parts.
    """
    trained = np.isin(groups, np.unique(groups[seen]))
    held_out = [rows[~trained[rows]] for rows in parts[1:]]
    return [np.setdiff1d(np.arange(len(groups)), np.concatenate(held_out)), *held_out]


def merge_counts(start: Any, taxonomy: Taxonomy, counts: np.ndarray) -> np.ndarray:
    """(N,) the larger of the earlier and the new counts: new files often contain the earlier rows."""
    return np.maximum(carry_counts(start.context, taxonomy), counts)


def extend_vocabularies(
    preprocessors: Mapping[str, Any], views: Mapping[str, View], rows: Iterable[Product]
) -> dict[str, Any]:
    """Extend TF-IDF preprocessors by the words of new rows (`TfidfPreprocessor.extended`).

    Args:
        preprocessors: of the earlier model, by view.
        views: by name.
        rows: the new products.

    Returns:
        Preprocessors by view; those without a vocabulary of words are the earlier ones.
    """
    return {
        name: preprocessor.extended(views[name].value(product) for product in rows)
        if isinstance(preprocessor, TfidfPreprocessor)
        else preprocessor
        for name, preprocessor in preprocessors.items()
    }
