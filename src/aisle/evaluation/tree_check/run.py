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
from aisle.models.features import FeatureStore
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Taxonomy
from aisle.training.recipe import AnyRecipe
from aisle.training.stacking import fold_models


@dataclass(frozen=True)
class TreeLimits:
    """Thresholds of the findings.

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
    """The result of a tree check.

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
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> TreeCheck:
    """Check a tree, and the products in it.

    Args:
        tree: the tree.
        catalog: its products. Without them, only names and depth are checked.
        recipe: of the models, each trained without a fold, whose confusions are counted; None: not counted.
        limits: thresholds of the findings.
        trust_code: whether encoders may run code of their own.
        progress: reports progress.

    Raises:
        CatalogError: a recipe is given, and too few products are labelled.
    """
    node = np.zeros(0, np.int64) if catalog is None else catalog.targets().node
    labelled = np.flatnonzero(node >= 0)
    node_counts = np.bincount(node[labelled], minlength=len(tree))
    counts = node_counts.copy()
    for i in range(len(tree) - 1, -1, -1):
        if tree.parent[i] >= 0:
            counts[tree.parent[i]] += counts[i]
    findings = [*name_findings(tree, counts), *depth_findings(tree, counts, limits.depth)]
    if catalog is not None and len(labelled):
        titles = [product.fields.get("title", "") for product in catalog]
        by_node: dict[int, list[str]] = {}
        for row in labelled.tolist():
            by_node.setdefault(int(node[row]), []).append(titles[row])
        findings += [*size_findings(tree, by_node, limits.tiny), *catch_all_findings(tree, by_node)]
        if recipe is not None:
            best = _out_of_fold(catalog, tree, recipe, limits.folds, trust_code, progress)
            findings += confusion_findings(tree, node, best, titles, limits.confusion)
    order = list(KINDS)
    findings.sort(key=lambda finding: (order.index(finding.kind), -finding.products))
    return TreeCheck(
        categories=len(tree),
        leaves=sum(not children for children in tree.children),
        levels=tree.depth,
        products=len(labelled),
        findings=tuple(findings),
        counts=dict(_counted(findings)),
    )


def _counted(findings: list[TreeFinding]) -> Iterator[tuple[str, int]]:
    counts = Counter(finding.kind for finding in findings)
    yield from ((kind, counts[kind]) for kind in KINDS if counts[kind])


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
            predicted = model.score(catalog.select(rows)).best()
            best[rows] = [tree.index(model.taxonomy.nodes[int(n)].id) for n in predicted]
            advance(1)
    return best
