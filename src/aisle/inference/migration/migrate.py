"""Moves a trained model to another version of its tree, without training."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from aisle.data import Catalog, Product
from aisle.guarantee import Policy, Settings
from aisle.inference.base_predictor import content_hashes
from aisle.inference.labelled_scores import LabelledScores
from aisle.inference.migration.examples import MigrationExamples
from aisle.inference.migration.model import MigratedModel
from aisle.inference.migration.split_head import SplitHead, fit_parts, hashed_texts, joined
from aisle.inference.migration.transfer import Transfer
from aisle.inference.training_counts import own_training_counts
from aisle.inference.zero_shot import ZeroShot, name_products, update_means
from aisle.taxonomy import Scores, Targets, Taxonomy
from aisle.taxonomy.tree_diff import TaxonomyDiff, diff
from aisle.taxonomy.tree_diff.moves import Move, move_targets, moves

_FOLDS = 5  # of the examples, each scored by heads that the others teach


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
        examples: products with categories of the new tree, which teach split and added categories and test
            the guarantee there. Those that are labelled rows too also show what became of their old category.
        labelled: scores of labelled rows that the model was not trained on; the guarantee is fitted on them.
        settings: of the guarantee; those of the model by default.

    Raises:
        CatalogError: no example has a category of the new tree.
        ValueError: `changes` are those of other trees.
    """
    old: Taxonomy = model.taxonomy
    if changes is not None and (changes.old != old or changes.new != new):
        raise ValueError("the changes are those of other trees than the model's and the new one")
    shown = MigrationExamples.of(examples, new, labelled)
    found = diff(old, new, products=shown.both_nodes(new, labelled)) if changes is None else changes
    every = moves(found)
    node = move_targets(found, Targets(np.arange(len(old)), np.ones(len(old), bool))).node
    node = np.where([len(move.targets) == 1 for move in every], [(*m.targets, -1)[0] for m in every], node)
    transfer = Transfer.of(old, new, every, node, content_hashes(shown.products))
    transfer, zero_shot = _with_scorers(model, transfer, shown)
    migrated = MigratedModel(
        model, transfer, zero_shot, policy=Policy.uncalibrated(new), results=_results(model, found, every)
    )
    scored = set() if zero_shot is None else set(zero_shot.new)
    never = [new.nodes[new.terminals[t]].id for t in transfer.without_source]
    without_scores = tuple(node_id for node_id in never if node_id not in scored)
    if labelled is None:
        return Migration(migrated, found, every, 0, (), without_scores)
    rows, moved = _moved_scores(model, labelled, transfer, found, shown)
    unlabelled = _without_labels(new, moved.targets)
    asked = settings or _moved_settings(model.policy.settings, transfer)
    asked = dataclasses.replace(asked, never=tuple(dict.fromkeys((*asked.never, *unlabelled))))
    if rows:
        migrated = migrated.with_policy(moved.policy(asked))
    return Migration(migrated, found, every, rows, unlabelled, without_scores)


def _moved_settings(asked: Settings, transfer: Transfer) -> Settings:
    """Settings by the ids of the new tree; those of categories that are gone are left out."""
    old, new = transfer.old, transfer.new
    moved = {}
    for node_id in (*asked.never, *asked.costs, *asked.branch_precision):
        node = old.find(node_id)
        target = -1 if node is None else int(transfer.node[node])
        if target >= 0:
            moved[node_id] = new.nodes[target].id
    return dataclasses.replace(
        asked,
        never=tuple(moved[k] for k in asked.never if k in moved),
        costs={moved[k]: v for k, v in asked.costs.items() if k in moved},
        branch_precision={moved[k]: v for k, v in asked.branch_precision.items() if k in moved},
    )


def _with_scorers(
    model: Any, transfer: Transfer, shown: MigrationExamples
) -> tuple[Transfer, ZeroShot | None]:
    """The transfer with a head for split categories, and the scorer of added ones."""
    if len(transfer.split):
        transfer = dataclasses.replace(transfer, head=_fit_head(model, transfer, shown))
    return transfer, _zero_shot(model, transfer, shown)


def _fit_head(model: Any, transfer: Transfer, shown: MigrationExamples) -> SplitHead:
    """The head of all split categories."""
    views = _views(model)
    edge = np.flatnonzero(np.isin(transfer.source, transfer.split))
    coefs, intercepts, order = [], [], []
    nodes = transfer.new.terminals
    for old in transfer.split.tolist():
        mine = edge[transfer.source[edge] == old]
        parts = transfer.target[mine]
        names = _features(model, name_products(transfer.new, nodes[parts]), views)
        mine_shown = shown.among(parts)
        examples = _features(model, mine_shown.products, views, names.shape[1])
        coef, intercept = fit_parts(names, examples, np.searchsorted(parts, mine_shown.terminal))
        coefs.append(coef)
        intercepts.append(intercept)
        order.append(mine)
    edges = np.concatenate(order)
    return SplitHead(
        views, np.concatenate(coefs, 1), np.concatenate(intercepts), transfer.source[edges], edges
    )


def _views(model: Any) -> tuple[str, ...]:
    """The views whose embeddings tell parts apart; empty where the model gives none with its scores."""
    index = getattr(model, "knn_index", None)
    return tuple(model.knn_views) if index is not None and hasattr(model, "view_embeddings") else ()


def _features(model: Any, products: list[Product], views: tuple[str, ...], width: int = 0) -> np.ndarray:
    """(B, D) what the split head reads of products."""
    if not products:
        return np.zeros((0, width), np.float32)
    return joined(model.view_embeddings(products), views) if views else hashed_texts(products)


def _zero_shot(model: Any, transfer: Transfer, shown: MigrationExamples) -> ZeroShot | None:
    """Scores the terminals that no old one hands anything to; None where the model cannot."""
    fitted, index, new = getattr(model, "zero_shot", None), getattr(model, "knn_index", None), transfer.new
    added = transfer.without_source
    if fitted is None or index is None or not len(added) or len(added) == len(new.terminals):
        return None
    names = model.view_embeddings(name_products(new))
    means = {name: np.zeros_like(vectors) for name, vectors in names.items()}
    for name, near in index.spaces.items():
        found = [transfer.old.find(str(node_id)) for node_id in near.node_ids]
        node = np.array([-1 if n is None else int(transfer.node[n]) for n in found], np.int64)
        terminal = np.where(node >= 0, new.terminal_of[node], -1)
        rows = np.flatnonzero(terminal >= 0)
        means[name] = update_means(near.vectors[rows], terminal[rows], means[name])
    ids = tuple(new.nodes[new.terminals[t]].id for t in added)
    zero_shot = ZeroShot(fitted.named, fitted.shown, ids, names, means)
    shown = shown.among(added)
    if not shown.products:
        return zero_shot
    vectors = model.view_embeddings(shown.products)
    return zero_shot.with_examples(vectors, [new.nodes[new.terminals[t]].id for t in shown.terminal], new)


def _moved_scores(
    model: Any, labelled: LabelledScores, transfer: Transfer, found: TaxonomyDiff, shown: MigrationExamples
) -> tuple[int, LabelledScores]:
    """The number of labelled rows, and their scores over the new tree. The parts of split categories share
    alike: no label tells them apart. Examples test them, each scored by heads that were fitted without it."""
    moved = labelled._replace(
        scores=Scores(transfer.new, transfer.apply(labelled.scores.logp)),
        targets=move_targets(found, labelled.targets),
        nearest=transfer.nearest(labelled.nearest),
    )
    split = np.isin(transfer.source, transfer.split)
    shown = shown.among(np.concatenate([transfer.target[split], transfer.without_source]))
    honest = (shown.row >= 0) | ~model.seen(shown.products)
    shown = shown.select(np.flatnonzero(honest))
    known = np.setdiff1d(np.flatnonzero(moved.targets.node >= 0), shown.row)
    if not shown.products:
        return len(known), moved
    before, nearest = shown.scored_before(model, labelled)
    fold = np.random.default_rng(0).permutation(len(honest[honest])) % _FOLDS
    logp = np.zeros((len(fold), len(transfer.new.terminals)), np.float32)
    for k in np.unique(fold):
        rows, others = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        own, zero_shot = _with_scorers(model, transfer, shown.select(others))
        tested = MigratedModel(model, own, zero_shot, policy=Policy.uncalibrated(transfer.new))
        logp[rows] = tested.carried_over(before[rows], shown.select(rows).products)
    times = shown.copies(labelled, transfer)
    return len(known) + len(shown.products), shown.add_to(moved, logp, transfer.nearest(nearest), times)


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


def _results(model: Any, found: TaxonomyDiff, every: Sequence[Move]) -> dict[str, Any]:
    """What the migrated model remembers: training counts by new ids, and what changed."""
    counts: dict[str, int] = {}
    for old, count in enumerate(own_training_counts(model).tolist()):
        if count and len(every[old].targets) == 1:
            node_id = found.new.nodes[every[old].targets[0]].id
            counts[node_id] = counts.get(node_id, 0) + int(count)
    kept = {key: model.results[key] for key in ("recipe",) if key in model.results}
    return {
        **kept,
        "training_products": sum(counts.values()),
        "training_counts": counts,
        "migrated_from": model.model_id,
        "changes": found.counts,
    }
