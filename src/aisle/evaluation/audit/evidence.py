"""What speaks for each place weighed for a product, gathered from models that have not seen the product."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from aisle.data import Catalog
from aisle.evaluation.audit.candidates import (
    ANSWERED,
    BETTER,
    DOUBLED,
    VOTED,
    AuditCases,
    duplicate_labels,
    neighbor_labels,
)
from aisle.evaluation.audit.neighbours import NeighborLists, nearest, votes
from aisle.evaluation.branches import below
from aisle.guarantee import Calibration
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Scores, Targets, Taxonomy

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

CHUNK = 256
CALIBRATED = 1_000  # rows of a fold, at least where it has as many, by which its model is calibrated
CLIP = 20.0  # log-odds beyond this say no more
PRIOR = 3.0  # products' worth of the parent's mean in what is expected of a category

# The features of a place, and how suspicion may move with each: -1 falls, 0 freely.
FEATURES: dict[str, int] = {
    "full": -1, "parent": -1, "top": -1,
    "text full": -1, "text parent": -1, "text top": -1,
    "picture full": -1, "picture parent": -1, "picture top": -1,
    "expected": 0, "against expected": -1, "support": 0,
    "neighbours full": -1, "neighbours parent": -1, "neighbours top": -1,
    "alike full": -1, "alike parent": -1, "alike top": -1,
    "duplicates": -1,
}  # fmt: skip
_COLUMN = {name: i for i, name in enumerate(FEATURES)}


@dataclass(frozen=True)
class Evidence:
    """Of n products and the places weighed for each: `features` (n, C, F), NaN where there is nothing to say.

    confidence: (n, C) calibrated, of each place. said: (n, 2) the places that text alone and images alone
    name, -1 where one is absent. near: neighbours by space, numbered among the n. support: (n,) other
    products with the same label; agree: (n,) share of duplicates with it.
    """

    cases: AuditCases
    features: np.ndarray
    confidence: np.ndarray
    said: np.ndarray
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
    """Ask models, each for rows (of the catalog) that it has not learned from, nor from duplicates of."""
    n, count = cases.places.shape
    features = np.full((n, count, len(FEATURES)), np.nan, np.float32)
    confidence = np.zeros((n, count), np.float32)
    said = np.full((n, 2), -1, np.int64)
    place_of = np.full(len(catalog), -1, np.int64)
    place_of[cases.rows] = np.arange(n)
    agree, other = duplicate_labels(cases.group, cases.node)
    cases.places[:, DOUBLED] = other
    near: dict[str, NeighborLists] | None = None
    kinds: dict[str, str] = {}
    for rows, model in models:
        views = _by_modality(model)
        if near is None:  # spaces know words and images alone, so one model's serve all
            near = nearest(model.view_embeddings(catalog.select(cases.rows)), cases.group, progress)
            kinds = {view.name: view.modality for view in model.inputs}
            cases.places[:, VOTED] = neighbor_labels(list(near.values()), cases.node, cases.node)
        mine = place_of[rows]
        mine = mine[mine >= 0]
        model = _calibrated(model, catalog, cases, mine)
        with progress("asking a model that has not seen them", len(mine)) as advance:
            for start in range(0, len(mine), CHUNK):
                some = mine[start : start + CHUNK]
                _ask(catalog.select(cases.rows[some]), some, model, views, cases, features, confidence, said)
                advance(len(some))
    near = near or {}
    _vote(features, taxonomy, cases, near, kinds)
    features[..., _COLUMN["duplicates"]] = _twins(cases)
    support = np.bincount(cases.node, minlength=len(taxonomy))
    _expect(features, taxonomy, cases, support)
    return Evidence(cases, features, confidence, said, near, support[cases.node] - 1, agree)


def _calibrated(model: "Predictor", catalog: Catalog, cases: AuditCases, mine: np.ndarray) -> "Predictor":
    """The same model, calibrated on rows that it judges: it kept none of those that it learned from aside."""
    some = mine[:: max(1, len(mine) // CALIBRATED)]
    if not len(some):
        return model
    targets = Targets(cases.node[some], cases.exact[some])
    calibration = Calibration.fit(model.score(catalog.select(cases.rows[some])), targets)
    return model.with_policy(replace(model.policy, calibration=calibration))


def _by_modality(model: "Predictor") -> dict[str, list[str]]:
    """The views to leave out in order to hear text alone and images alone, where there are both."""
    kinds = {view.name: view.modality for view in model.inputs}
    if not {"text", "image"} <= set(kinds.values()):
        return {}
    alone = {"text": "text", "picture": "image"}
    return {name: [v for v, kind in kinds.items() if kind != modality] for name, modality in alone.items()}


def _ask(
    products: Catalog, some: np.ndarray, model: "Predictor", views: dict[str, list[str]], cases: AuditCases,
    features: np.ndarray, confidence: np.ndarray, said: np.ndarray,
) -> None:  # fmt: skip
    scores = model.score(products)
    top = scores.topk(ANSWERED.stop - ANSWERED.start).node
    cases.places[some, ANSWERED.start : ANSWERED.start + top.shape[1]] = top
    places = cases.places[some]
    own = cases.places[some, 0]
    better = places[:, BETTER]
    better[better == own[:, None]] = -1
    cases.places[some, BETTER] = better
    places[:, BETTER] = better
    exact = np.ones(places.shape, bool)
    exact[:, 0] = cases.exact[some]
    features[some, :, :3], _ = standing(scores, places, exact)
    confidence[some] = np.exp(standing(model.policy.confidences(scores), places, exact)[1])
    for i, (name, without) in enumerate(views.items()):
        alone = list(model.score_batches(products, without))
        scores = Scores(scores.taxonomy, np.concatenate([part.scores.logp for part in alone]))
        heard = np.asarray(np.concatenate([part.present for part in alone]).any(1))
        column = _COLUMN[f"{name} full"]
        margin, _ = standing(scores, places, exact)
        features[some, :, column : column + 3] = np.where(heard[:, None, None], margin, np.nan)
        said[some, i] = np.where(heard, scores.best(), -1)


def standing(scores: Scores, places: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How each of `places` (B, C) stands against the best other: (B, C, 3) differences of log-probability of
    the full path, at its parent's level, at the top; and (B, C) its own log-probability. -1 gives NaN and
    -inf. exact: (B, C) the place itself is meant, not the branch below it."""
    tree = scores.taxonomy
    rows = np.arange(len(places))[:, None]
    asked = np.maximum(places, 0)
    nodes = np.full((len(scores), len(tree)), -np.inf, np.float32)
    for depth in range(1, tree.depth + 1):
        nodes[:, tree.level(depth)] = scores.nodes(tree.level(depth))
    own = tree.terminal_of[asked]
    own = np.where(exact & (own >= 0), own, -1)
    logp = np.where(own >= 0, scores.logp[rows, own], nodes[rows, asked])
    margin = np.full((*places.shape, 3), np.nan, np.float32)
    margin[..., 0] = logp - _best_other(scores, asked, own)
    depth = tree.node_depth[asked]
    for column, level in ((1, np.maximum(depth - 1, 1)), (2, np.ones_like(depth))):
        for at in np.unique(level).tolist():
            there = level == at
            branch = np.where(there, tree.ancestors[asked, at - 1], 0)
            margin[..., column][there] = _against(nodes[:, tree.level(at)], nodes, tree.level(at), branch)[
                there
            ]
    unknown = places < 0
    margin[unknown] = np.nan
    return np.clip(np.nan_to_num(margin, nan=np.nan, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP), np.where(
        unknown, -np.inf, logp
    )


def _best_other(scores: Scores, places: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(B, C) the highest log-probability of a terminal that is not the place (nor below an inexact one)."""
    top = scores.topk(5)
    span = scores.taxonomy.span[places]
    number = scores.taxonomy.terminal_of[top.node]  # (B, 5)
    within = (number[:, None] >= span[..., :1]) & (number[:, None] < span[..., 1:])
    mine = np.where((own >= 0)[..., None], number[:, None] == own[..., None], within)
    best = np.where(mine, -np.inf, top.logp[:, None]).max(2)
    return np.where(np.isfinite(best), best, top.logp[:, -1:])


def _against(level: np.ndarray, nodes: np.ndarray, numbers: np.ndarray, branch: np.ndarray) -> np.ndarray:
    """(B, C) log-probability of a branch minus that of the best other one at its level."""
    rows = np.arange(len(level))[:, None]
    order = np.argpartition(level, max(level.shape[1] - 2, 0), axis=1)[:, -2:]
    order = np.take_along_axis(order, np.argsort(-np.take_along_axis(level, order, 1), axis=1), 1)
    best = numbers[order[:, 0]][:, None] == branch
    if level.shape[1] == 1:
        return np.full(branch.shape, CLIP, np.float32)
    return nodes[rows, branch] - np.where(best, level[rows, order[:, 1:]], level[rows, order[:, :1]])


def _vote(
    features: np.ndarray,
    taxonomy: Taxonomy,
    cases: AuditCases,
    near: dict[str, NeighborLists],
    kinds: dict[str, str],
) -> None:
    for column, kind in (("neighbours full", "text"), ("alike full", "image")):
        spaces = [space for name, space in near.items() if kinds[name] == kind]
        if not spaces:
            continue
        first = _COLUMN[column]
        for c in range(cases.places.shape[1]):
            place = cases.places[:, c]
            told = np.stack([votes(space, taxonomy, cases.node, place) for space in spaces])  # (S, n, 3)
            heard = np.isfinite(told)
            mean = np.where(heard, told, 0).sum(0) / np.where(heard.any(0), heard.sum(0), np.nan)
            features[:, c, first : first + 3] = np.where((place >= 0)[:, None], mean, np.nan)


def _twins(cases: AuditCases) -> np.ndarray:
    """(n, C) the share of a product's duplicates that carry the label of each place; NaN without any."""
    from aisle.data.duplicates import members

    out = np.full(cases.places.shape, np.nan, np.float32)
    for rows in members(np.unique(cases.group, return_inverse=True)[1]):
        for i in rows.tolist():
            rest = cases.node[rows[rows != i]]
            out[i] = (rest[None] == cases.places[i][:, None]).mean(1)
    out[cases.places < 0] = np.nan
    return out


def _expect(features: np.ndarray, taxonomy: Taxonomy, cases: AuditCases, support: np.ndarray) -> None:
    """What products of a category usually score, the product itself left out, small categories leaning on
    their branch: confident learning's thresholds (Northcutt et al. 2021), shrunk down the tree."""
    own = features[:, 0, 0]
    total = below(taxonomy, np.bincount(cases.node, own, minlength=len(taxonomy)))
    count = below(taxonomy, support.astype(float))
    overall = float(own.mean())
    for c in range(cases.places.shape[1]):
        place = np.maximum(cases.places[:, c], 0)
        expected = np.full(len(place), overall)
        for depth in range(taxonomy.depth):
            node = taxonomy.ancestors[place, depth]
            inside = taxonomy.ancestors[cases.node, depth] == node  # the product itself is counted there
            rest, n = total[node] - inside * own, count[node] - inside
            expected = np.where(node >= 0, (rest + PRIOR * expected) / (n + PRIOR), expected)
        features[:, c, _COLUMN["expected"]] = expected
        features[:, c, _COLUMN["against expected"]] = features[:, c, 0] - expected
        features[:, c, _COLUMN["support"]] = np.log1p(support[place] - (place == cases.node))
    features[cases.places < 0] = np.nan
