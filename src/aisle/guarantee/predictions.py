"""Turns confidences into predictions: the decided path, the alternatives and the reason."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aisle.guarantee.confidence import Confidences
from aisle.guarantee.path_confidence import Descent
from aisle.guarantee.prediction import Alternative, Prediction, Verdict
from aisle.guarantee.rule import NEVER, Demand, stopping
from aisle.taxonomy import format_path

if TYPE_CHECKING:
    from aisle.guarantee.policy import Policy

ALTERNATIVES = 5
NO_VIEW = "nothing in it is known to the model: the prediction is only what is usual in this shop"
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "a deeper")
OOD_MESSAGE = "may belong nowhere in the tree: unlike the products learned from, or disputed by the nearest"


def predictions(
    policy: "Policy",
    ids: Sequence[str],
    confidences: Confidences,
    empty: np.ndarray,
    ood: np.ndarray,
    problems: Sequence[Sequence[str]] | None,
    model_id: str,
) -> list[Prediction]:
    """Decide B products; see `Policy.predict`.

    Args:
        policy: Thresholds and the guarantee.
        ids: (B,) ids of the products.
        confidences: Calibrated confidences of the B products.
        empty: (B,) bool: no view is present.
        ood: (B,) bool: the product probably belongs to no category.
        problems: (B,) problems of each row. Default: none.
        model_id: The model.

    Returns:
        B predictions, in order.
    """
    if not len(ids):
        return []
    taxonomy, descent = confidences.taxonomy, confidences.path
    demand, gain = policy.demand(taxonomy), policy.gains(taxonomy, descent)
    stops = np.where(empty | ood, 0, stopping(gain))
    thresholds = _thresholds(policy, demand, descent, gain)
    top = confidences.topk(ALTERNATIVES)
    full = descent.confidence[np.arange(len(ids)), descent.depth - 1]
    # Relative to the best, so that the first is the prediction's own confidence to the last digit.
    others = np.exp(top.logp.astype(np.float64) - top.logp[:, :1]) * full[:, None]
    nodes, chances = top.node.tolist(), others.tolist()
    paths, ids_of = [node.path for node in taxonomy.nodes], [node.id for node in taxonomy.nodes]
    ways, confidence = descent.nodes.tolist(), descent.confidence.tolist()
    found = []
    for i, (best, depth, stop, nothing, odd) in enumerate(
        zip(*(column.tolist() for column in (descent.best, descent.depth, stops, empty, ood)), strict=True)
    ):
        way, sure = ways[i][:depth], confidence[i][:depth]
        decision: Verdict = "review" if not stop else "accept" if stop == depth else "partial"
        if nothing:
            reason = NO_VIEW
        elif odd:
            reason = OOD_MESSAGE
        else:
            reason = why(policy, demand, confidences, i, stop, thresholds[i])
        row_problems = tuple(problems[i]) if problems is not None else ()
        found.append(
            Prediction(
                id=ids[i],
                best=paths[best],
                best_id=ids_of[best],
                path=paths[way[stop - 1]] if stop else (),
                path_id=ids_of[way[stop - 1]] if stop else "",
                confidence=tuple(sure),
                decision=decision,
                reason=reason,
                alternatives=tuple(map(Alternative, map(paths.__getitem__, nodes[i]), chances[i])),
                threshold=thresholds[i],
                problems=(*row_problems, OOD_MESSAGE) if odd else row_problems,
                model_id=model_id,
            )
        )
    return found


def why(
    policy: "Policy", demand: Demand, confidences: Confidences, row: int, stop: int, threshold: float | None
) -> str:
    """The reason of one decision, in words.

    Args:
        policy: Thresholds and the guarantee.
        demand: What the guarantee requires of each node.
        confidences: Calibrated confidences of the B products.
        row: The product.
        stop: The number of decided levels; 0 for review.
        threshold: The confidence from which the full path is accepted; None if it never is.
    """
    taxonomy, path = confidences.taxonomy, confidences.path
    way = path.nodes[row, : path.depth[row]]
    precision, name = f"{policy.settings.precision:.0%}", taxonomy.nodes[way[-1]].path[-1]
    if stop == len(way):
        sure = f"{path.confidence[row, stop - 1]:.2f}"
        return f"{name!r} is sure: confidence {sure}, {threshold or 0:.2f} is needed"
    if not policy.curve:
        return "not calibrated: nothing is guaranteed"
    node = way[stop]
    if not demand.allowed[node]:
        named = format_path(taxonomy.nodes[node].path)
        if taxonomy.nodes[node].id not in policy.known:
            return f"{named!r} was not in the tree when the guarantee was fitted: calibrate again"
        return f"{named!r} is never decided automatically"
    level, sure = ORDINALS[min(stop, len(ORDINALS) - 1)], path.confidence[row, stop]
    point, last = policy.point, stop + 1 == len(way)
    price = NEVER if point is None else point.accept if last else point.partial
    if price == NEVER and sure >= policy.settings.precision:
        kind = "full path" if last else "partial path"
        likely = f"{taxonomy.nodes[node].path[-1]} is likely ({sure:.2f})"
        return f"{likely}, but no {kind} is guaranteed at {precision}"
    unsure = f"{level} level unsure: {_rivals(confidences, row, stop)}"
    if threshold is None and last:
        return f"{unsure}; no full path is guaranteed at {precision}"
    return unsure


def _rivals(confidences: Confidences, row: int, stop: int) -> str:
    """The two most probable children at the level where the path is unsure."""
    taxonomy, path = confidences.taxonomy, confidences.path
    node = path.nodes[row, stop]
    parent = taxonomy.parent[node]
    siblings = taxonomy.level(1) if parent < 0 else np.asarray(taxonomy.children[parent])
    sure = np.exp(confidences[row : row + 1].nodes(siblings)[0])
    others = siblings[np.argsort(-sure, kind="stable")]
    others = [int(other) for other in others if other != node][:1]
    first = f"{taxonomy.nodes[node].path[-1]} ({path.confidence[row, stop]:.2f})"
    return " or ".join([first, *(taxonomy.nodes[other].path[-1] for other in others)])


def _thresholds(policy: "Policy", demand: Demand, descent: Descent, gain: np.ndarray) -> list[float | None]:
    """The confidence from which each product's full path is accepted; None where it never is."""
    point, every, last = policy.point, np.arange(len(gain)), descent.depth - 1
    if point is None or point.accept == NEVER:
        return [None] * len(gain)
    possible = np.isfinite(gain[every, last])
    others = gain.copy()
    others[every, last] = 0.0
    beyond = 1 - np.maximum(others.max(1), 0.0)  # a full path's utility over the best branch's gain
    alpha = demand.alpha[descent.best]
    risk = alpha + beyond / point.accept * alpha / (1 - demand.precision)
    needed = np.clip(1 - risk / demand.cost[descent.best], 0.0, 1.0)
    return [float(t) if may else None for t, may in zip(needed, possible, strict=True)]
