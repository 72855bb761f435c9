"""Cross-fitting of linear models: each labelled row is scored by a model that was not trained on it.

K models are trained, each without one fold; near-duplicates share a fold. Frozen embeddings are computed
once; vocabularies, document frequencies, class counts and neighbors come from a fold's training rows alone.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.guarantee.nearest import Nearest
from aisle.inference.knn_index import KnnIndex, random_projection
from aisle.inference.linear.predictor import LinearPredictor
from aisle.inference.zero_shot import ZeroShot
from aisle.models.linear.fit import TrainingInputs
from aisle.models.linear.model import log_softmax
from aisle.progress import Progress
from aisle.taxonomy import Scores, Targets, Taxonomy

REMEMBERED = 20_000  # rows looked through for those that a model compares new products with


class OutOfFold(NamedTuple):
    """Out-of-fold predictions.

    Attributes:
        rows: (n,) sorted row numbers.
        scores: (n, N) raw log-probabilities, over the final model's tree.
        nearest: the most similar training rows of the same fold model.
        fold: (n,) which fold a row was in.
        zero_shot: how new categories are scored, fitted on the first fold.
    """

    rows: np.ndarray
    scores: Scores
    nearest: Nearest | None
    fold: np.ndarray
    zero_shot: ZeroShot | None


class FoldModel(NamedTuple):
    """A model trained without one fold, and all rows as it reads them."""

    predictor: LinearPredictor
    inputs: TrainingInputs


def cross_fit(
    train_without: Callable[[np.ndarray], FoldModel],
    products: Catalog,
    targets: Targets,
    folds: np.ndarray,
    progress: Progress,
) -> OutOfFold | None:
    """Train a model for each fold and score the fold with it.

    Args:
        train_without: trains on these rows (sorted numbers); the rows of one fold are left out.
        products: all n training rows.
        targets: where they belong.
        folds: (n,) fold numbers from 0; -1: always trained on, never scored.
        progress: reports the folds.

    Returns:
        None where no fold has both rows to score and rows to train on.
    """
    logp: list[np.ndarray] = []
    nearest: list[Nearest | None] = []
    order: list[np.ndarray] = []
    tree: Taxonomy | None = None
    zero_shot: ZeroShot | None = None
    n_folds = int(folds.max(initial=-1)) + 1
    with progress("cross-fitting", n_folds, "folds") as advance:
        for fold in range(n_folds):
            held_out, trained = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            if not len(held_out) or not len(trained):
                continue
            progress.say(f"fold {fold + 1} of {n_folds}: training on {len(trained):,} rows")
            model, inputs = train_without(trained)
            tree = model.taxonomy
            spaces = _spaces(model, inputs)
            ids = [model.taxonomy.nodes[node].id for node in targets.node]
            model = _remembering(model, spaces, ids, trained)
            scores, neighbors = _score(
                model, inputs.select(held_out), {n: v[held_out] for n, v in spaces.items()}
            )
            logp.append(scores)
            nearest.append(neighbors)
            order.append(held_out)
            if zero_shot is None:
                known = Targets(targets.node[held_out], targets.exact[held_out])
                zero_shot = model.with_zero_shot(products.select(held_out), known).zero_shot
            del model, inputs, spaces  # before those of the next fold take as much memory again
            advance(1)
    if tree is None:
        return None
    rows = np.concatenate(order)
    back = np.argsort(rows)
    neighbors = [n for n in nearest if n is not None]
    together = Nearest.join(neighbors).take(back) if len(neighbors) == len(nearest) else None
    rows = rows[back]
    return OutOfFold(rows, Scores(tree, np.concatenate(logp)[back]), together, folds[rows], zero_shot)


def _spaces(model: LinearPredictor, inputs: TrainingInputs) -> dict[str, np.ndarray]:
    """(n, D) vectors of each view that products are compared by."""
    spaces: dict[str, np.ndarray] = {}
    begin = 0
    for name, size in inputs.sizes.items():
        part = inputs.sparse[:, begin : begin + size].tocsr()
        begin += size
        if name in model.knn_views:
            spaces[name] = random_projection(
                {"ids": part.indices, "weights": part.data, "offsets": part.indptr[:-1]}
            )
    return spaces | {name: inputs.dense[name] for name in model.knn_views if name not in spaces}


def _remembering(
    model: LinearPredictor, spaces: dict[str, np.ndarray], ids: list[str], learned: np.ndarray
) -> LinearPredictor:
    if not spaces:
        return model
    sample = learned[:: len(learned) // REMEMBERED + 1]
    vectors = {name: rows[sample] for name, rows in spaces.items()}
    index = KnnIndex.of(vectors, [ids[i] for i in sample], model.knn_index)
    return dataclasses.replace(model, knn_index=index if index.spaces else None)


def _score(
    model: LinearPredictor, inputs: TrainingInputs, spaces: dict[str, np.ndarray]
) -> tuple[np.ndarray, Nearest | None]:
    logits = model.model.logits(inputs.sparse, inputs.dense, model.taxonomy)
    neighbors = model.knn_index.query(spaces, model.taxonomy) if model.knn_index else None
    return log_softmax(logits), neighbors
