"""Moves a trained model to another version of its tree, without training."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from aisle.data import Catalog, Product
from aisle.errors import CatalogError
from aisle.guarantee import Policy, Settings
from aisle.inference.label_targets import targets_in
from aisle.inference.labelled_scores import LabelledScores
from aisle.inference.migration.model import MigratedModel
from aisle.inference.migration.split_head import SplitHead, fit_parts, hashed_texts, joined
from aisle.inference.migration.transfer import Transfer
from aisle.inference.training_counts import own_training_counts
from aisle.inference.zero_shot import ZeroShot, name_products, update_means
from aisle.taxonomy import Targets, Taxonomy
from aisle.taxonomy.tree_diff import TaxonomyDiff, diff
from aisle.taxonomy.tree_diff.moves import Move, move_targets, moves


class Migration(NamedTuple):
    """A model over a new tree, and how it came about.

    Attributes:
        model: the model.
        changes: the differences between the trees.
        moves: (M,) where the products of each old node go.
        labelled_rows: rows that the guarantee was fitted on; 0: nothing is guaranteed.
        without_labels: ids of the uppermost new nodes that no labelled row tests; nothing is decided there.
        without_scores: ids of new terminals that are never predicted.
    """

    model: MigratedModel
    changes: TaxonomyDiff
    moves: tuple[Move, ...]
    labelled_rows: int
    without_labels: tuple[str, ...]
    without_scores: tuple[str, ...]


def migrate(
    model: Any,
    new: Taxonomy,
    *,
    changes: TaxonomyDiff | None = None,
    examples: Catalog | None = None,
    labelled: LabelledScores | None = None,
    settings: Settings | None = None,
) -> Migration:
    """Move a model to another version of its tree.

    Categories that are unchanged, renamed or moved keep their scores; those of merged ones are added; those
    of a split one are shared among its parts by the similarity to their names and to examples; the
    replacement of a retired one gets its scores.

    Args:
        model: the trained model.
        new: the new tree.
        changes: the differences of the model's tree and `new`; found by `diff` by default.
        examples: products with categories of the new tree, which teach split and added categories.
        labelled: scores of labelled rows that the model was not trained on; the guarantee is fitted on them.
        settings: of the guarantee; those of the model by default.

    Raises:
        CatalogError: no example has a category of the new tree.
        ValueError: `changes` are those of other trees.
    """
    old: Taxonomy = model.taxonomy
    if changes is not None and (changes.old != old or changes.new != new):
        raise ValueError("the changes are those of other trees than the model's and the new one")
    diff_ = diff(old, new) if changes is None else changes
    every = moves(diff_)
    node = move_targets(diff_, Targets(np.arange(len(old)), np.ones(len(old), bool))).node
    node = np.where([len(move.targets) == 1 for move in every], [(*m.targets, -1)[0] for m in every], node)
    transfer = Transfer.of(old, new, every, node)
    examples_ = _Examples.of(examples, new)
    if len(transfer.split):
        head = _fit_head(model, transfer, examples_)
        transfer = dataclasses.replace(transfer, head=head)
    zero_shot = _zero_shot(model, transfer, examples_)
    migrated = MigratedModel(
        model, transfer, zero_shot, policy=Policy.uncalibrated(new), results=_results(model, diff_, every)
    )
    scored = set() if zero_shot is None else set(zero_shot.new)
    untrained = [new.nodes[new.terminals[t]].id for t in transfer.without_source]
    without_scores = tuple(node_id for node_id in untrained if node_id not in scored)
    if labelled is None:
        return Migration(migrated, diff_, every, 0, (), without_scores)
    moved_scores = _moved_scores(labelled, transfer, diff_)
    unlabelled = _without_labels(new, moved_scores.targets)
    policy: Policy = model.policy
    requested = settings or policy.settings
    kept = tuple(node_id for node_id in requested.never if new.find(node_id) is not None)
    requested = dataclasses.replace(
        requested,
        never=tuple(dict.fromkeys((*kept, *unlabelled))),
        costs={k: v for k, v in requested.costs.items() if new.find(k) is not None},
        branch_precision={k: v for k, v in requested.branch_precision.items() if new.find(k) is not None},
    )
    rows = int((moved_scores.targets.node >= 0).sum())
    if rows:
        migrated = migrated.with_policy(moved_scores.policy(requested))
    return Migration(migrated, diff_, every, rows, unlabelled, without_scores)


class _Examples(NamedTuple):
    """Products with categories of the new tree: the products, and (n,) terminals of them."""

    products: list[Product]
    terminal: np.ndarray

    @classmethod
    def of(cls, catalog: Catalog | None, new: Taxonomy) -> "_Examples":
        if catalog is None:
            return cls([], np.zeros(0, np.int64))
        targets = targets_in(new, catalog)
        terminal = np.where((targets.node >= 0) & targets.exact, new.terminal_of[targets.node], -1)
        rows = np.flatnonzero(terminal >= 0)
        if not len(rows):
            raise CatalogError(
                f"none of the {len(catalog):,} examples has a category of the new tree that takes products"
            )
        return cls([catalog[int(i)] for i in rows], terminal[rows])


def _fit_head(model: Any, transfer: Transfer, shown: _Examples) -> SplitHead:
    """The head of all split categories."""
    views = _views(model)
    edge = np.flatnonzero(np.isin(transfer.source, transfer.split))
    coefs, intercepts, order = [], [], []
    nodes = transfer.new.terminals
    for old in transfer.split.tolist():
        of_terminal = edge[transfer.source[edge] == old]
        parts = transfer.target[of_terminal]
        names = _features(model, name_products(transfer.new, nodes[parts]), views)
        rows = np.flatnonzero(np.isin(shown.terminal, parts))
        examples = _features(model, [shown.products[i] for i in rows], views, names.shape[1])
        part = np.searchsorted(parts, shown.terminal[rows])
        coef, intercept = fit_parts(names, examples, part)
        coefs.append(coef)
        intercepts.append(intercept)
        order.append(of_terminal)
    edges = np.concatenate(order)
    return SplitHead(
        views, np.concatenate(coefs, 1), np.concatenate(intercepts), transfer.source[edges], edges
    )


def _views(model: Any) -> tuple[str, ...]:
    """The views whose embeddings separate the parts; empty if the model returns none with its scores."""
    index = getattr(model, "knn_index", None)
    return tuple(model.knn_views) if index is not None and hasattr(model, "view_embeddings") else ()


def _features(model: Any, products: list[Product], views: tuple[str, ...], width: int = 0) -> np.ndarray:
    """(B, D) features of the split head."""
    if not products:
        return np.zeros((0, width), np.float32)
    return joined(model.view_embeddings(products), views) if views else hashed_texts(products)


def _zero_shot(model: Any, transfer: Transfer, shown: _Examples) -> ZeroShot | None:
    """Scores the terminals that no old one hands anything to; None where the model cannot."""
    fitted, index, new = getattr(model, "zero_shot", None), getattr(model, "knn_index", None), transfer.new
    added = transfer.without_source
    if fitted is None or index is None or not len(added) or len(added) == len(new.terminals):
        return None
    names = model.view_embeddings(name_products(new))
    means = {name: np.zeros_like(vectors) for name, vectors in names.items()}
    for name, space in index.spaces.items():
        nodes = [transfer.old.find(str(node_id)) for node_id in space.node_ids]
        node = np.array([-1 if n is None else int(transfer.node[n]) for n in nodes], np.int64)
        terminal = np.where(node >= 0, new.terminal_of[node], -1)
        rows = np.flatnonzero(terminal >= 0)
        means[name] = update_means(space.vectors[rows], terminal[rows], means[name])
    ids = tuple(new.nodes[new.terminals[t]].id for t in added)
    zero_shot = ZeroShot(fitted.named, fitted.shown, ids, names, means)
    rows = np.flatnonzero(np.isin(shown.terminal, added))
    if not len(rows):
        return zero_shot
    vectors = model.view_embeddings([shown.products[i] for i in rows])
    return zero_shot.with_examples(
        vectors, [new.nodes[new.terminals[t]].id for t in shown.terminal[rows]], new
    )


def _moved_scores(labelled: LabelledScores, transfer: Transfer, diff_: TaxonomyDiff) -> LabelledScores:
    """Labelled scores over the new tree. The parts of split categories share alike: no label tells them
    apart, and nothing is decided there."""
    from aisle.taxonomy import Scores

    return labelled._replace(
        scores=Scores(transfer.new, transfer.apply(labelled.scores.logp)),
        targets=move_targets(diff_, labelled.targets),
        nearest=transfer.nearest(labelled.nearest),
    )


def _without_labels(tree: Taxonomy, targets: Targets) -> tuple[str, ...]:
    """Ids of the uppermost nodes that no exact label is in."""
    rows = (targets.node >= 0) & targets.exact
    count = np.bincount(targets.node[rows], minlength=len(tree))
    for i in range(len(tree) - 1, -1, -1):
        if tree.parent[i] >= 0:
            count[tree.parent[i]] += count[i]
    empty = count == 0
    inside = (tree.parent >= 0) & empty[tree.parent]
    return tuple(tree.nodes[i].id for i in np.flatnonzero(empty & ~inside))


def _results(model: Any, diff_: TaxonomyDiff, every: Sequence[Move]) -> dict[str, Any]:
    """Results of the migrated model: training counts by new ids, and the changes."""
    counts: dict[str, int] = {}
    for old, count in enumerate(own_training_counts(model).tolist()):
        if count and len(every[old].targets) == 1:
            node_id = diff_.new.nodes[every[old].targets[0]].id
            counts[node_id] = counts.get(node_id, 0) + int(count)
    kept = {key: model.results[key] for key in ("recipe",) if key in model.results}
    return {
        **kept,
        "training_products": sum(counts.values()),
        "training_counts": counts,
        "migrated_from": model.model_id,
        "changes": diff_.counts,
    }
