"""Features of each candidate category of a product, from models that were not trained on the product."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from aisle.data import Catalog
from aisle.evaluation.audit.candidates import (
    BETTER,
    BY_DUPLICATES,
    BY_MODEL,
    BY_NEIGHBORS,
    AuditCases,
    duplicate_labels,
    neighbor_labels,
)
from aisle.evaluation.audit.neighbors import NeighborLists, nearest, votes
from aisle.evaluation.branches import subtree_sums
from aisle.guarantee import Calibration
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Scores, Targets, Taxonomy

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

CHUNK = 256
CALIBRATED = 1_000  # rows of a fold on which its model is calibrated, approximately
CLIP = 20.0  # bound of log-odds, in nats
PRIOR = 3.0  # pseudo-count of the parent's mean in a category's expected score

# Features of a candidate, with the monotonic constraint on suspicion: -1 decreasing, 0 none.
FEATURES: dict[str, int] = {
    "full": -1, "parent": -1, "top": -1,
    "text full": -1, "text parent": -1, "text top": -1,
    "image full": -1, "image parent": -1, "image top": -1,
    "expected": 0, "against expected": -1, "support": 0,
    "neighbors full": -1, "neighbors parent": -1, "neighbors top": -1,
    "similar images full": -1, "similar images parent": -1, "similar images top": -1,
    "duplicates": -1,
}  # fmt: skip
_COLUMN = {name: i for i, name in enumerate(FEATURES)}


@dataclass(frozen=True)
class Evidence:
    """Features of C candidates of n products.

    Attributes:
        cases: The products and their candidates.
        features: (n, C, F) in the order of `FEATURES`; NaN where a feature is missing.
        confidence: (n, C) calibrated confidence in each candidate, 0 to 1.
        single_view: (n, 2) nodes predicted from text alone and from images alone, -1 where one is missing.
        near: Neighbors by embedding space, as indices into the n products.
        support: (n,) other products with the same label.
        agree: (n,) share of duplicates with the same label; NaN without duplicates.
    """

    cases: AuditCases
    features: np.ndarray
    confidence: np.ndarray
    single_view: np.ndarray
    near: dict[str, NeighborLists]
    support: np.ndarray
    agree: np.ndarray


def gather(
    catalog: Catalog,
    taxonomy: Taxonomy,
    cases: AuditCases,
    models: Iterable[tuple[np.ndarray, "Predictor"]],
    progress: Progress = SILENT,
) -> Evidence:
    """Compute the evidence.

    Args:
        catalog: The catalog that `cases` are rows of.
        taxonomy: Its categories.
        cases: The products; the candidates `BY_NEIGHBORS`, `BY_DUPLICATES` and `BY_MODEL` are filled in.
        models: Pairs of catalog rows and a model, trained on neither these rows nor their duplicates.
        progress: Receives progress.
    """
    n, count = cases.candidates.shape
    features = np.full((n, count, len(FEATURES)), np.nan, np.float32)
    confidence = np.zeros((n, count), np.float32)
    single_view = np.full((n, 2), -1, np.int64)
    index_of = np.full(len(catalog), -1, np.int64)
    index_of[cases.rows] = np.arange(n)
    agreement, duplicate_label = duplicate_labels(cases.group, cases.node)
    cases.candidates[:, BY_DUPLICATES] = duplicate_label
    neighbors: dict[str, NeighborLists] | None = None
    modalities: dict[str, str] = {}
    for rows, model in models:
        views = _by_modality(model)
        if neighbors is None:  # embeddings do not depend on training: those of the first model serve all
            neighbors = nearest(model.view_embeddings(catalog.select(cases.rows)), cases.group, progress)
            modalities = {view.name: view.modality for view in model.inputs}
            cases.candidates[:, BY_NEIGHBORS] = neighbor_labels(
                list(neighbors.values()), cases.node, cases.node
            )
        held_out = index_of[rows]
        held_out = held_out[held_out >= 0]
        model = _calibrated(model, catalog, cases, held_out)
        with progress("scoring held-out rows", len(held_out)) as advance:
            for start in range(0, len(held_out), CHUNK):
                batch = held_out[start : start + CHUNK]
                products = catalog.select(cases.rows[batch])
                _score_batch(products, batch, model, views, cases, features, confidence, single_view)
                advance(len(batch))
    neighbors = neighbors or {}
    _add_votes(features, taxonomy, cases, neighbors, modalities)
    features[..., _COLUMN["duplicates"]] = _duplicate_agreement(cases)
    support = np.bincount(cases.node, minlength=len(taxonomy))
    _add_expected(features, taxonomy, cases, support)
    return Evidence(cases, features, confidence, single_view, neighbors, support[cases.node] - 1, agreement)


def _calibrated(model: "Predictor", catalog: Catalog, cases: AuditCases, held_out: np.ndarray) -> "Predictor":
    """The model, calibrated on a sample of its held-out rows."""
    batch = held_out[:: max(1, len(held_out) // CALIBRATED)]
    if not len(batch):
        return model
    targets = Targets(cases.node[batch], cases.exact[batch])
    calibration = Calibration.fit(model.score(catalog.select(cases.rows[batch])), targets)
    return model.with_policy(replace(model.policy, calibration=calibration))


def _by_modality(model: "Predictor") -> dict[str, list[str]]:
    """Modality -> the views of other modalities; empty unless the model reads text and images."""
    modalities = {view.name: view.modality for view in model.inputs}
    if not {"text", "image"} <= set(modalities.values()):
        return {}
    return {m: [v for v, modality in modalities.items() if modality != m] for m in ("text", "image")}


def _score_batch(
    products: Catalog, batch: np.ndarray, model: "Predictor", views: dict[str, list[str]], cases: AuditCases,
    features: np.ndarray, confidence: np.ndarray, single_view: np.ndarray,
) -> None:  # fmt: skip
    scores = model.score(products)
    top = scores.topk(BY_MODEL.stop - BY_MODEL.start).node
    cases.candidates[batch, BY_MODEL.start : BY_MODEL.start + top.shape[1]] = top
    candidates = cases.candidates[batch]
    label = cases.candidates[batch, 0]
    better = candidates[:, BETTER]
    better[better == label[:, None]] = -1
    cases.candidates[batch, BETTER] = better
    candidates[:, BETTER] = better
    exact = np.ones(candidates.shape, bool)
    exact[:, 0] = cases.exact[batch]
    features[batch, :, :3], _ = margins(scores, candidates, exact)
    confidence[batch] = np.exp(margins(model.policy.confidences(scores), candidates, exact)[1])
    for i, (name, without) in enumerate(views.items()):
        without_others = list(model.score_batches(products, without))
        scores = Scores(scores.taxonomy, np.concatenate([part.scores.logp for part in without_others]))
        known = np.asarray(np.concatenate([part.present for part in without_others]).any(1))
        column = _COLUMN[f"{name} full"]
        margin, _ = margins(scores, candidates, exact)
        features[batch, :, column : column + 3] = np.where(known[:, None, None], margin, np.nan)
        single_view[batch, i] = np.where(known, scores.best(), -1)


def margins(scores: Scores, candidates: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability margins of candidates over the best other category.

    Args:
        scores: Scores of B products.
        candidates: (B, C) nodes, -1 where there is none.
        exact: (B, C) bool: the node itself, not the branch below it.

    Returns:
        (B, C, 3) margins in nats, within `CLIP`: of the full path, at its parent's level, at the top level;
        NaN for -1. And (B, C) the candidates' own log-probabilities; -inf for -1.
    """
    tree = scores.taxonomy
    rows = np.arange(len(candidates))[:, None]
    nodes_or_0 = np.maximum(candidates, 0)
    nodes = np.full((len(scores), len(tree)), -np.inf, np.float32)
    for depth in range(1, tree.depth + 1):
        nodes[:, tree.level(depth)] = scores.nodes(tree.level(depth))
    terminal = tree.terminal_of[nodes_or_0]
    terminal = np.where(exact & (terminal >= 0), terminal, -1)
    logp = np.where(terminal >= 0, scores.logp[rows, terminal], nodes[rows, nodes_or_0])
    margin = np.full((*candidates.shape, 3), np.nan, np.float32)
    margin[..., 0] = logp - _best_other(scores, nodes_or_0, terminal)
    depth = tree.node_depth[nodes_or_0]
    for column, level in ((1, np.maximum(depth - 1, 1)), (2, np.ones_like(depth))):
        for at in np.unique(level).tolist():
            at_depth = level == at
            branch = np.where(at_depth, tree.ancestors[nodes_or_0, at - 1], 0)
            margin[..., column][at_depth] = _branch_margin(
                nodes[:, tree.level(at)], nodes, tree.level(at), branch
            )[at_depth]
    unknown = candidates < 0
    margin[unknown] = np.nan
    return np.clip(np.nan_to_num(margin, nan=np.nan, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP), np.where(
        unknown, -np.inf, logp
    )


def _best_other(scores: Scores, candidates: np.ndarray, terminal: np.ndarray) -> np.ndarray:
    """(B, C) highest log-probability of a terminal other than the candidate or those below an inexact one."""
    top = scores.topk(5)
    span = scores.taxonomy.span[candidates]
    number = scores.taxonomy.terminal_of[top.node]  # (B, 5)
    in_branch = (number[:, None] >= span[..., :1]) & (number[:, None] < span[..., 1:])
    excluded = np.where((terminal >= 0)[..., None], number[:, None] == terminal[..., None], in_branch)
    best = np.where(excluded, -np.inf, top.logp[:, None]).max(2)
    return np.where(np.isfinite(best), best, top.logp[:, -1:])


def _branch_margin(
    level: np.ndarray, nodes: np.ndarray, numbers: np.ndarray, branch: np.ndarray
) -> np.ndarray:
    """(B, C) log-probability of a branch minus that of the best other one at its level."""
    rows = np.arange(len(level))[:, None]
    order = np.argpartition(level, max(level.shape[1] - 2, 0), axis=1)[:, -2:]
    order = np.take_along_axis(order, np.argsort(-np.take_along_axis(level, order, 1), axis=1), 1)
    best = numbers[order[:, 0]][:, None] == branch
    if level.shape[1] == 1:
        return np.full(branch.shape, CLIP, np.float32)
    return nodes[rows, branch] - np.where(best, level[rows, order[:, 1:]], level[rows, order[:, :1]])


def _add_votes(
    features: np.ndarray,
    taxonomy: Taxonomy,
    cases: AuditCases,
    neighbors: dict[str, NeighborLists],
    modalities: dict[str, str],
) -> None:
    for column, modality in (("neighbors full", "text"), ("similar images full", "image")):
        spaces = [space for name, space in neighbors.items() if modalities[name] == modality]
        if not spaces:
            continue
        first = _COLUMN[column]
        for c in range(cases.candidates.shape[1]):
            candidate = cases.candidates[:, c]
            # (S, n, 3)
            shares = np.stack([votes(space, taxonomy, cases.node, candidate) for space in spaces])
            finite = np.isfinite(shares)
            mean = np.where(finite, shares, 0).sum(0) / np.where(finite.any(0), finite.sum(0), np.nan)
            features[:, c, first : first + 3] = np.where((candidate >= 0)[:, None], mean, np.nan)


def _duplicate_agreement(cases: AuditCases) -> np.ndarray:
    """(n, C) share of a product's duplicates with the label of each candidate; NaN without duplicates."""
    from aisle.data.duplicates import members

    agreement = np.full(cases.candidates.shape, np.nan, np.float32)
    for rows in members(np.unique(cases.group, return_inverse=True)[1]):
        for i in rows.tolist():
            other_labels = cases.node[rows[rows != i]]
            agreement[i] = (other_labels[None] == cases.candidates[i][:, None]).mean(1)
    agreement[cases.candidates < 0] = np.nan
    return agreement


def _add_expected(features: np.ndarray, taxonomy: Taxonomy, cases: AuditCases, support: np.ndarray) -> None:
    """Add the mean score of the other products of each candidate category, shrunk towards its parent's mean.

    These are the per-class thresholds of confident learning (Northcutt et al. 2021), smoothed along the tree.
    """
    label_score = features[:, 0, 0]
    total = subtree_sums(taxonomy, np.bincount(cases.node, label_score, minlength=len(taxonomy)))
    count = subtree_sums(taxonomy, support.astype(float))
    overall = float(label_score.mean())
    for c in range(cases.candidates.shape[1]):
        candidate = np.maximum(cases.candidates[:, c], 0)
        expected = np.full(len(candidate), overall)
        for depth in range(taxonomy.depth):
            node = taxonomy.ancestors[candidate, depth]
            same_branch = taxonomy.ancestors[cases.node, depth] == node  # the product itself is counted there
            others_total, others_count = total[node] - same_branch * label_score, count[node] - same_branch
            expected = np.where(
                node >= 0, (others_total + PRIOR * expected) / (others_count + PRIOR), expected
            )
        features[:, c, _COLUMN["expected"]] = expected
        features[:, c, _COLUMN["against expected"]] = features[:, c, 0] - expected
        features[:, c, _COLUMN["support"]] = np.log1p(support[candidate] - (candidate == cases.node))
    features[cases.candidates < 0] = np.nan
