"""Counts a model's training products: one definition for the API, the console, reports and model cards.

A training product is a labelled product of weight above 0 that the run was given, whether it was used for
fitting, validation, calibration or thresholds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aisle.taxonomy import Taxonomy


def count_training(taxonomy: Taxonomy, node: np.ndarray, before: Any = None) -> dict[str, Any]:
    """What a model's `results` keep. node: (n,) each training product's own node. before: the model that
    training went on from: of each category the larger number counts, as new files often hold the old rows."""
    counts_ = np.bincount(node[node >= 0], minlength=len(taxonomy))
    if before is not None:
        counts_ = np.maximum(counts_, _own_counts(before, taxonomy))
    counts = {taxonomy.nodes[i].id: int(counts_[i]) for i in np.flatnonzero(counts_)}
    return {"training_products": sum(counts.values()), "training_counts": counts}


def training_products(model: Any) -> int | None:
    """The number of a model's training products; None where it does not know."""
    count = _results(model).get("training_products")
    return None if count is None else int(count)


def training_counts(model: Any) -> np.ndarray:
    """(M,) the training products at or below each node of a model's tree."""
    tree: Taxonomy = model.taxonomy
    total = _own_counts(model, tree)
    for i in range(len(tree) - 1, -1, -1):
        if tree.parent[i] >= 0:
            total[tree.parent[i]] += total[i]
    return total


def own_training_counts(model: Any) -> np.ndarray:
    """(M,) the training products at each node itself."""
    return _own_counts(model, model.taxonomy)


def _own_counts(model: Any, tree: Taxonomy) -> np.ndarray:
    counts_ = np.zeros(len(tree), dtype=np.int64)
    counts = _results(model).get("training_counts")
    if counts is None:  # an older member, or one made by hand
        context = model.context
        ids = [context.taxonomy.nodes[t].id for t in context.taxonomy.terminals]
        counts = dict(zip(ids, np.asarray(context.counts).tolist(), strict=True))
    for node_id, count in counts.items():
        node = tree.find(node_id)
        if node is not None:
            counts_[node] += count
    return counts_


def _results(model: Any) -> Mapping[str, Any]:
    """A model's own; those of the first member of an ensemble, of the last stage of a cascade."""
    if "training_counts" in model.results:
        return model.results
    if members := getattr(model, "members", ()):
        return _results(members[0])
    full = getattr(model, "full", None)
    return model.results if full is None else _results(full)
