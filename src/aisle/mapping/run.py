"""Maps a shop's categories, and single products, onto another tree."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from aisle.data import Catalog, read
from aisle.errors import CatalogError
from aisle.mapping.decide import CheckedScores, LogitCalibration, MappingGuarantee, find_threshold
from aisle.mapping.decisions_file import CheckedPair, Overrides
from aisle.mapping.features import NULL
from aisle.mapping.match import MatchWeights, TreeMatch, TreeMatcher
from aisle.mapping.products import straddling
from aisle.mapping.sides import TreeSide
from aisle.mapping.similarity import Encoder
from aisle.taxonomy import Taxonomy, TreeFile, format_path

MappingDecision = Literal["decided", "review", "override"]
_FOLDS = 5
_PRIOR_PRECISION = 4.0  # of own checked pairs' weights around the shipped ones
_TEXTS = 200  # titles of a category that are compared
ALTERNATIVES = 4


@dataclass(frozen=True)
class MappedCategory:
    """A category of the shop and its target.

    Attributes:
        node: in the shop's tree.
        target: the most probable node of the other tree; -1 where there is no candidate.
        probability: calibrated, of this target, low where nothing corresponds; 1 where a person set it.
        decision: decided, review, or override.
        alternatives: further targets and their probabilities.
        products: the number of the shop's products in exactly this category.
        straddles: whether its products have several targets.
    """

    node: int
    target: int
    probability: float
    decision: MappingDecision
    alternatives: tuple[tuple[int, float], ...] = ()
    products: int = 0
    straddles: bool = False


@dataclass(frozen=True)
class MappedProduct:
    """A product of a category that straddles several targets, or one whose target a person set."""

    position: int
    target: int
    probability: float
    decision: MappingDecision


@dataclass(frozen=True)
class CategoryMapping:
    """The mapping of a shop's tree onto another.

    Attributes:
        source: the shop's tree.
        target: the other tree.
        kind: the kind of the other tree, such as `Google product taxonomy`.
        categories: one per node of the shop's tree.
        products: single products, by position in the catalog.
        guarantee: what holds for those decided.
        overrides: as they were given.
    """

    source: Taxonomy
    target: Taxonomy
    kind: str
    categories: tuple[MappedCategory, ...]
    products: dict[int, MappedProduct]
    guarantee: MappingGuarantee
    overrides: Overrides = field(default_factory=Overrides)

    def count(self, decision: MappingDecision) -> int:
        """The number of categories with this decision."""
        return sum(one.decision == decision for one in self.categories)

    def target_of(self, position: int, node: int, every: bool = False) -> int:
        """The target that is written for a product; -1 for none.

        Args:
            position: in the catalog.
            node: its category, -1 for none.
            every: whether targets that are left for review are written too.
        """
        own = self.products.get(position)
        if own is not None and (every or own.decision != "review"):
            return own.target
        if node < 0:
            return NULL
        category = self.categories[node]
        return category.target if every or category.decision != "review" else NULL


def shop_side(catalog: Catalog) -> tuple[TreeSide, list[list[tuple[int, str]]]]:
    """The shop's tree with the titles of its products, and position and title of each category's products."""
    node = catalog.targets().node
    products: list[list[tuple[int, str]]] = [[] for _ in catalog.taxonomy.nodes]
    for position, (at, product) in enumerate(zip(node.tolist(), catalog, strict=True)):
        if at >= 0:
            products[at].append((position, product.fields.get("title", "")))
    texts = {n: [title for _, title in found[:_TEXTS]] for n, found in enumerate(products) if found}
    return TreeSide(catalog.taxonomy, {}, texts), products


def shop_category_column(catalog: Catalog) -> str | None:
    """The column of a Google feed with the shop's own categories: `product_type`, if it is not the label.

    Returns:
        None for other catalogs, and where the labels are the shop's own categories already.
    """
    if catalog.dialect is None or catalog.dialect.name != "google":
        return None
    for name in catalog.names:
        if name.removeprefix("g:").replace(" ", "_") == "product_type":
            return name if catalog.columns.category != name else None
    return None


def product_titles(file: Path, tree: Taxonomy) -> dict[int, list[str]]:
    """Titles of the products in a catalog with categories of a tree, by node.

    Args:
        file: the catalog.
        tree: its categories.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    catalog = read(file, taxonomy=tree)
    titles: dict[int, list[str]] = {}
    for node, product in zip(catalog.targets().node.tolist(), catalog, strict=True):
        if node >= 0:
            titles.setdefault(node, []).append(product.fields.get("title", ""))
    return titles


def map_categories(
    source: TreeSide,
    target: TreeFile,
    *,
    products: Sequence[Sequence[tuple[int, str]]] = (),
    ids: Sequence[str] = (),
    target_texts: dict[int, list[str]] | None = None,
    encoder: Encoder | None = None,
    checked: Sequence[CheckedPair] = (),
    overrides: Overrides | None = None,
    reference: bool = False,
    precision: float = 0.95,
    alpha: float = 0.05,
) -> CategoryMapping:
    """Map a shop's categories, and products of categories that straddle several targets.

    Args:
        source: the shop's tree.
        target: the tree that is mapped onto.
        products: position and title of the products of each category, by node.
        ids: product ids, by position.
        target_texts: titles of products in the target tree, by node.
        encoder: of names and paths.
        checked: pairs that a person checked, a random sample of the shop's categories. The scorer is fitted
            to them, and the guarantee rests on them. Without any, nothing is decided.
        overrides: targets that people set.
        reference: without checked pairs, decide by the threshold of public pairs, which says little about a
            tree that is not alike.
        precision: share of decided mappings that are right.
        alpha: the probability that it does not hold, at most.

    Raises:
        CatalogError: no checked pair is of a category of the shop.
    """
    overrides = overrides or Overrides()
    side = TreeSide(target.taxonomy, target.names, target_texts or {})
    matcher = TreeMatcher(source, side, encoder)
    if checked:
        match, scores, calibration = _own(matcher, checked)
    else:
        match, scores = matcher.match(), CheckedScores.shipped(encoder is not None)
        calibration = LogitCalibration.fit(scores.confidence, scores.right)
    scores = replace(scores, confidence=calibration(scores.confidence))
    guarantee = find_threshold(scores, precision, alpha)
    if not checked and not reference:
        guarantee = replace(guarantee, threshold=math.inf)
    split = straddling(source, side, match, products) if products else {}
    categories = _categories(source, match, calibration, guarantee, overrides, set(split), products)
    single = {
        one.position: MappedProduct(one.position, one.node, one.probability, "review")
        for found in split.values()
        for one in found
    }
    for position, node_id in enumerate(ids):
        if node_id in overrides.products:
            single[position] = MappedProduct(position, overrides.products[node_id], 1.0, "override")
    return CategoryMapping(
        source.taxonomy, target.taxonomy, target.kind, categories, single, guarantee, overrides
    )


def _categories(
    source: TreeSide,
    match: TreeMatch,
    calibration: LogitCalibration,
    guarantee: MappingGuarantee,
    overrides: Overrides,
    split: set[int],
    products: Sequence[Sequence[tuple[int, str]]],
) -> tuple[MappedCategory, ...]:
    nodes, p = match.top(ALTERNATIVES)
    calibrated = calibration(p)
    found = []
    for node in range(len(source.taxonomy)):
        target = overrides.categories.get(format_path(source.taxonomy.nodes[node].path))
        alternatives = tuple(
            (int(n), float(c))
            for n, c in zip(nodes[node], calibrated[node], strict=True)
            if n != target and n >= 0
        )
        size = len(products[node]) if products else 0
        if target is not None:
            found.append(MappedCategory(node, target, 1.0, "override", alternatives, size))
            continue
        best, sure = int(nodes[node, 0]), float(calibrated[node, 0]) >= guarantee.threshold
        decision: MappingDecision = "decided" if sure and best != NULL and node not in split else "review"
        rest = tuple(one for one in alternatives if one[0] != best)
        found.append(
            MappedCategory(node, best, float(calibrated[node, 0]), decision, rest, size, node in split)
        )
    return tuple(found)


def _own(
    matcher: TreeMatcher, checked: Sequence[CheckedPair]
) -> tuple[TreeMatch, CheckedScores, LogitCalibration]:
    """A scorer fitted to a person's checked pairs, and its confidences on pairs that it did not see.

    Pairs are divided into folds by the top category, so that no branch helps to judge itself.
    """
    tree = matcher.source.taxonomy
    at = {format_path(tree.nodes[node].path): node for node in range(len(tree))}
    pairs = [(at[one.category], one) for one in checked if one.category in at]
    if not pairs:
        raise CatalogError(
            f"no checked pair names a category of this shop, such as {format_path(tree.nodes[0].path)!r}"
        )
    nodes = np.array([node for node, _ in pairs])
    truth = np.array([-2 if one.target is None else one.target for _, one in pairs])
    refused = np.array([-2 if one.refused is None else one.refused for _, one in pairs])
    fold = _folds(tree.ancestors[nodes, 0])
    prior = MatchWeights.shipped(matcher.embedded)
    best, p = np.zeros(len(pairs), np.int64), np.zeros(len(pairs))
    for k in np.unique(fold):
        rest = (fold != k) & (truth >= 0)
        match = matcher.match(
            matcher.fit(nodes[rest], truth[rest], prior, _PRIOR_PRECISION) if rest.any() else prior
        )
        top, chance = match.top(1)
        best[fold == k], p[fold == k] = top[nodes[fold == k], 0], chance[nodes[fold == k], 0]
    right = (best == truth) & (best != refused)
    known = truth >= 0
    final = matcher.match(
        matcher.fit(nodes[known], truth[known], prior, _PRIOR_PRECISION) if known.any() else prior
    )
    real = best != NULL
    scores = CheckedScores(p[real], right[real], "own")
    return final, scores, LogitCalibration.fit(p[real], right[real])


def _folds(top: np.ndarray) -> np.ndarray:
    """Numbers of folds of about equal size, by top category; by row where there are too few of these."""
    values, counts = np.unique(top, return_counts=True)
    if len(values) < _FOLDS:
        return np.arange(len(top)) % _FOLDS
    sizes, of = np.zeros(_FOLDS), {}
    for value in values[np.argsort(-counts)]:
        of[value] = int(sizes.argmin())
        sizes[of[value]] += counts[values == value][0]
    return np.array([of[value] for value in top])
