"""Checks a tree, and the products in it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel

from aisle.data import Catalog
from aisle.data.splits import folds as fold_numbers
from aisle.errors import CatalogError
from aisle.evaluation.tree_check.findings import KINDS, TreeFinding
from aisle.evaluation.tree_check.names import depth_findings, name_findings
from aisle.evaluation.tree_check.products import catch_all_findings, confusion_findings, size_findings
from aisle.inference.base_predictor import content_hashes
from aisle.inference.labelled_scores import MOST_ROWS, LabelledScores
from aisle.models.features import FeatureStore
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Taxonomy
from aisle.training.recipe import AnyRecipe
from aisle.training.stacking import fold_models

_MIN_KEPT = 0.8  # share of the products whose scores a run must have kept


@dataclass(frozen=True)
class TreeLimits:
    """From where on something is a finding.

    Attributes:
        tiny: products that a leaf has at least.
        depth: levels at most.
        confusion: share of two leaves' products that are taken for the other one.
        folds: of the models whose confusions are counted.
    """

    tiny: int = 5
    depth: int = 5
    confusion: float = 0.2
    folds: int = 5


class TreeCheck(BaseModel):
    """What was found in a tree.

    Attributes:
        categories: its number of nodes.
        leaves: of leaves.
        levels: of levels.
        products: labelled products; 0 where only the tree was checked.
        findings: by kind, those that concern most products first.
        counts: findings by kind.
    """

    categories: int
    leaves: int
    levels: int
    products: int
    findings: tuple[TreeFinding, ...]
    counts: dict[str, int]


def check_tree(
    tree: Taxonomy,
    catalog: Catalog | None = None,
    recipe: AnyRecipe | None = None,
    limits: TreeLimits = TreeLimits(),
    *,
    labelled: LabelledScores | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> TreeCheck:
    """Check a tree, and the products in it.

    Args:
        tree: the tree.
        catalog: its products. Without them, only names and depth are checked.
        recipe: of the models, each trained without a fold, whose confusions are counted; None: not counted.
        limits: from where on something is a finding.
        labelled: scores that a run kept of its labelled rows. Where they are of these products, their
            confusions are counted, and nothing is trained.
        trust_code: whether encoders may run code of their own.
        progress: reports progress.

    Raises:
        CatalogError: a recipe is given, and too few products are labelled.
    """
    node = np.zeros(0, np.int64) if catalog is None else catalog.targets().node
    with_label = np.flatnonzero(node >= 0)
    own = np.bincount(node[with_label], minlength=len(tree))
    counts = own.copy()
    for i in range(len(tree) - 1, -1, -1):
        if tree.parent[i] >= 0:
            counts[tree.parent[i]] += counts[i]
    found = [*name_findings(tree, counts), *depth_findings(tree, counts, limits.depth)]
    if catalog is not None and len(with_label):
        titles = [product.fields.get("title", "") for product in catalog]
        by_node: dict[int, list[str]] = {}
        for row in with_label.tolist():
            by_node.setdefault(int(node[row]), []).append(titles[row])
        found += [*size_findings(tree, by_node, limits.tiny), *catch_all_findings(tree, by_node)]
        best = None if labelled is None else _kept(catalog, tree, labelled)
        if best is None and recipe is not None:
            best = _out_of_fold(catalog, tree, recipe, limits.folds, trust_code, progress)
        if best is not None:
            truth = np.where(best >= 0, node, -1)
            found += confusion_findings(tree, truth, best, titles, limits.confusion)
    order = list(KINDS)
    found.sort(key=lambda one: (order.index(one.kind), -one.products))
    return TreeCheck(
        categories=len(tree),
        leaves=sum(not below for below in tree.children),
        levels=tree.depth,
        products=len(with_label),
        findings=tuple(found),
        counts=dict(_counted(found)),
    )


def _counted(found: list[TreeFinding]) -> Iterator[tuple[str, int]]:
    counts = Counter(one.kind for one in found)
    yield from ((kind, counts[kind]) for kind in KINDS if counts[kind])


def _kept(catalog: Catalog, tree: Taxonomy, labelled: LabelledScores) -> np.ndarray | None:
    """(n,) the node that each product got in the run, -1 where it kept no scores of it; None where it kept
    those of too few of these products."""
    row = labelled.rows_of(content_hashes(catalog))
    with_label = catalog.targets().node >= 0
    if (with_label & (row >= 0)).sum() < _MIN_KEPT * min(with_label.sum(), MOST_ROWS):
        return None
    of_run = labelled.scores.taxonomy
    place = [tree.find(node.id) for node in of_run.nodes]
    node = np.array([-1 if found is None else found for found in place], np.int64)
    return np.where(row >= 0, node[labelled.scores[np.maximum(row, 0)].best()], -1)


def _out_of_fold(
    catalog: Catalog, tree: Taxonomy, recipe: AnyRecipe, folds: int, trust_code: bool, progress: Progress
) -> np.ndarray:
    """(n,) the node that each product gets of a model trained neither on it nor on a duplicate of it."""
    labelled = np.flatnonzero((catalog.targets().node >= 0) & ~catalog.fatal)
    if len(labelled) < 2 * folds:
        raise CatalogError(f"{len(labelled):,} labelled products: too few to train models in {folds} folds")
    number = np.full(len(catalog), -1)
    number[labelled] = fold_numbers(catalog.select(labelled), folds)
    best = np.full(len(catalog), -1)
    models = fold_models(catalog, recipe, tree, number, store=FeatureStore(), trust_code=trust_code)
    with progress("training in folds", folds, "models") as advance:
        for rows, model in models:
            answers = model.score(catalog.select(rows)).best()
            best[rows] = [tree.index(model.taxonomy.nodes[int(n)].id) for n in answers]
            advance(1)
    return best
