"""Proposes categories for products that belong nowhere in the tree.

One product of a new category is hard to tell from an unusual one of a known category; a group of similar
ones is not. Products are grouped by their titles; a group whose mean out-of-distribution score is high is
proposed.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from aisle.data import Catalog, Product
from aisle.errors import CatalogError
from aisle.evaluation.cluster_names import group_name, typical_words
from aisle.evaluation.new_categories.groups import group_products, title_vectors
from aisle.evaluation.new_categories.result import NewCategories, NewCategory, SimilarCategory
from aisle.inference.base_predictor import BasePredictor
from aisle.progress import SILENT, Advance, Progress
from aisle.taxonomy import CategoryPath, Taxonomy

_MAX_CANDIDATES = 6_000  # products that form groups: those with the highest scores
_MIN_PARENT_SHARE = 0.5  # share of a group's predictions below its parent, at least
_EXAMPLES, _SIMILAR, _WORDS = 8, 3, 5  # that are kept of a proposed category
_MAX_CHARS = 160  # characters of an example


class _ScoredProducts(NamedTuple):
    """The model's predictions for n products.

    Attributes:
        score: (n,) out-of-distribution scores; NaN where the product has nothing that the model reads.
        flagged: (n,) bool.
        best: (n,) the node predicted.
        dense: (n, E) embeddings of frozen encoders; None where the model has none.
    """

    score: np.ndarray
    flagged: np.ndarray
    best: np.ndarray
    dense: np.ndarray | None


def propose_categories(
    model: BasePredictor,
    catalog: Catalog,
    *,
    labelled: bool = False,
    min_products: int = 8,
    min_evidence: float = 0.35,
    progress: Progress = SILENT,
) -> NewCategories:
    """Propose categories for products that belong nowhere in the tree of a model.

    Args:
        model: The model.
        catalog: Products; faulty rows, and rows that the model was trained on, are left out.
        labelled: Also look at products with a label.
        min_products: Products of a proposed category, at least.
        min_evidence: Mean out-of-distribution score of a proposed category over the threshold of a single
            product, at least. Lower: more proposals, more of which belong in the tree.
        progress: Reports progress.

    Raises:
        CatalogError: No row is left, or the model cannot tell which products belong nowhere.
    """
    ood = model.policy.ood
    if ood is None or not np.isfinite(ood.flag):
        raise CatalogError(
            "this model cannot tell which products belong nowhere in its tree: that takes some 50 labelled "
            "products to calibrate it with (`aisle calibrate`)"
        )
    rows = np.flatnonzero(~catalog.fatal & ((catalog.targets().node < 0) | labelled))
    rows = rows[~model.seen(catalog.select(rows))] if len(rows) else rows
    if not len(rows):
        which = "" if labelled else " without a label"
        raise CatalogError(f"no row{which} is new to the model: there is nothing to propose categories for")
    products = catalog.select(rows)
    with progress("classifying", len(rows)) as advance:
        scored = _scored(model, products, advance)
    titles = [_title(model, product) for product in products]
    with progress("grouping", 1, "step") as advance:
        candidates = np.argsort(-np.nan_to_num(scored.score, nan=-np.inf), kind="stable")[:_MAX_CANDIDATES]
        candidates = np.sort(candidates[np.isfinite(scored.score[candidates])])
        groups = group_products(title_vectors(titles, scored.dense), candidates, min_products)
        advance(1)
    evidence = np.array([np.nanmean(scored.score[group]) for group in groups]) / ood.flag
    proposed = [int(i) for i in np.argsort(-evidence, kind="stable") if evidence[i] >= min_evidence]
    words = typical_words(titles, _labels(groups, len(titles)), _WORDS)
    categories: list[NewCategory] = []
    used_paths = {node.path for node in model.taxonomy.nodes}
    for i in proposed:
        if words[i]:
            group_titles = [titles[row] for row in groups[i].tolist()]
            category = _category(
                model.taxonomy, scored, groups[i], group_titles, words[i], float(evidence[i]), used_paths
            )
            used_paths.add(category.path)
            categories.append(category.model_copy(update={"rows": tuple(rows[groups[i]].tolist())}))
    return NewCategories(
        source=", ".join(part.path.name for part in catalog.files),
        model_id=model.model_id,
        rows=len(rows),
        flagged=int(scored.flagged.sum()),
        groups=len(groups),
        categories=tuple(categories),
    )


def _scored(model: BasePredictor, products: Catalog, advance: Advance) -> _ScoredProducts:
    ood = model.policy.ood
    assert ood is not None
    score, best, dense = [], [], []
    encoded: Any = None
    lexical = set(getattr(getattr(model, "reader", None), "tfidf", ()))
    for scored, nearest in model.score_with_neighbors(products, advance):
        assert nearest is not None
        calibrated = model.policy.calibrate(scored.scores)
        score.append(np.where(scored.present.any(1), ood.score(calibrated, nearest), np.nan))
        best.append(calibrated.best())
        encoded = [name for name in scored.spaces if name not in lexical]
        dense.append(np.concatenate([np.zeros((len(score[-1]), 0)), *(scored.spaces[n] for n in encoded)], 1))
    scores = np.concatenate(score)
    with np.errstate(invalid="ignore"):
        flagged = scores > ood.flag
    return _ScoredProducts(scores, flagged, np.concatenate(best), np.concatenate(dense) if encoded else None)


def _title(model: BasePredictor, product: Product) -> str:
    """The title; of a product without one, the first text that the model reads."""
    title = product.fields.get("title", "").strip()
    texts = (view.value(product) for view in model.inputs if view.modality == "text") if not title else ()
    return title or next((str(text) for text in texts if text), "")


def _labels(groups: Sequence[np.ndarray], count: int) -> np.ndarray:
    """(count,) the group of each product; -1: in none."""
    label = np.full(count, -1)
    for number, rows in enumerate(groups):
        label[rows] = number
    return label


def _category(
    tree: Taxonomy,
    scored: _ScoredProducts,
    rows: np.ndarray,
    titles: Sequence[str],
    words: Sequence[str],
    evidence: float,
    used_paths: set[CategoryPath],
) -> NewCategory:
    votes = Counter(scored.best[rows].tolist())
    below = Counter[int]()
    for node, count in votes.items():
        for ancestor in tree.lineage(node):
            if tree.children[ancestor]:
                below[ancestor] += count
    parents = [node for node, count in below.items() if count >= _MIN_PARENT_SHARE * len(rows)]
    parent = max(parents, key=lambda node: len(tree.nodes[node].path), default=-1)
    ancestor = tree.nodes[parent].path if parent >= 0 else ()
    examples = dict.fromkeys(title.strip()[:_MAX_CHARS] for title in titles)
    return NewCategory(
        path=_unused_path((*ancestor, group_name(words, titles)), used_paths),
        parent=ancestor,
        parent_share=below[parent] / len(rows) if parent >= 0 else 1.0,
        words=tuple(words),
        evidence=evidence,
        flagged=int(scored.flagged[rows].sum()),
        similar=tuple(
            SimilarCategory(tree.nodes[node].path, count / len(rows))
            for node, count in votes.most_common(_SIMILAR)
        ),
        examples=tuple(examples)[:_EXAMPLES],
        rows=(),
    )


def _unused_path(path: CategoryPath, used_paths: set[CategoryPath]) -> CategoryPath:
    """The path, with a number after its name where the tree has it already."""
    number, candidate = 1, path
    while candidate in used_paths:
        number += 1
        candidate = (*path[:-1], f"{path[-1]} {number}")
    return candidate
