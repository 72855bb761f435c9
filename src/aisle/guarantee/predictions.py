"""Predictions as they leave: best path, how far it is sure, alternatives, and why it stopped."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aisle.guarantee.confidence import Confidences
from aisle.guarantee.prediction import Alternative, Prediction, Verdict
from aisle.taxonomy import Taxonomy, format_path

if TYPE_CHECKING:
    from aisle.guarantee.policy import Limits, Policy

ALTERNATIVES = 5
NO_VIEW = "no view is present: the answer is only what is usual in this shop"
STRANGE = "may belong nowhere in the tree: unlike the products learned from, or disputed by the nearest"


def predictions(
    policy: "Policy",
    ids: Sequence[str],
    confidences: Confidences,
    empty: np.ndarray,
    strange: np.ndarray,
    problems: Sequence[Sequence[str]] | None,
    model_id: str,
) -> list[Prediction]:
    """One a row of confidences; see `Policy.predict`.

    empty: (B,) no view is present. strange: (B,) probably belongs nowhere in the tree.
    """
    if not len(ids):
        return []
    taxonomy, descent = confidences.taxonomy, confidences.path
    limits = policy.limits(taxonomy)
    thresholds = _thresholds(limits, descent.best)
    stops = policy.stops(taxonomy, descent, empty | strange)
    top = confidences.topk(ALTERNATIVES)
    full = descent.confidence[np.arange(len(ids)), descent.depth - 1]
    # Relative to the best, so that the first is the prediction's own confidence to the last digit.
    others = np.exp(top.logp.astype(np.float64) - top.logp[:, :1]) * full[:, None]
    nodes, chances = top.node.tolist(), others.tolist()
    paths, ids_of = [node.path for node in taxonomy.nodes], [node.id for node in taxonomy.nodes]
    ways, confidence = descent.nodes.tolist(), descent.confidence.tolist()
    found = []
    for i, (best, depth, stop, nothing, odd) in enumerate(
        zip(
            *(column.tolist() for column in (descent.best, descent.depth, stops, empty, strange)), strict=True
        )
    ):
        way, sure = ways[i][:depth], confidence[i][:depth]
        decision: Verdict = "review" if not stop else "accept" if stop == depth else "partial"
        if nothing:
            reason = NO_VIEW
        elif odd:
            reason = STRANGE
        else:
            reason = why(policy, taxonomy, limits, way, sure, stop)
        told = tuple(problems[i]) if problems is not None else ()
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
                problems=(*told, STRANGE) if odd else told,
                model_id=model_id,
            )
        )
    return found


def why(
    policy: "Policy", taxonomy: Taxonomy, limits: "Limits", way: list[int], sure: list[float], stop: int
) -> str:
    """Why one product's way down these nodes, each so sure, stopped after `stop` levels: for people."""
    node, confidence = way[min(stop, len(way) - 1)], sure[min(stop, len(way) - 1)]
    last = stop + 1 >= len(way)
    limit, cost = (limits.accept if last else limits.partial)[node], limits.cost[node]
    if stop == len(way):
        return _compared(confidence, 1 - limit / cost)
    if not policy.rules:
        return "not calibrated: nothing is promised"
    name = format_path(taxonomy.nodes[node].path)
    if limits.never[node]:
        return f"{name!r} is never answered automatically"
    if not limits.known[node]:
        return f"{name!r} was not in the tree when the promise was fitted: calibrate again"
    if limit < 0:
        what = "full paths" if last else f"level {stop + 1}"
        return f"nothing is promised for {what} here: too few rows, or too many mistakes among them"
    return f"{name!r}: {_compared(confidence, 1 - limit / cost)}"


def _compared(confidence: float, threshold: float) -> str:
    """Both numbers with as many digits as it takes to see which one is higher."""
    threshold = max(threshold, 0.0)
    digits = next((d for d in range(3, 9) if round(confidence, d) != round(threshold, d)), 3)
    return f"the confidence is {confidence:.{digits}f}, {threshold:.{digits}f} is needed"


def _thresholds(limits: "Limits", best: np.ndarray) -> list[float | None]:
    """The confidence from which each of these nodes is accepted; None where it never is."""
    limit = limits.accept[best]
    needed = np.clip(1 - limit / limits.cost[best], 0.0, 1.0).tolist()
    return [None if never else one for one, never in zip(needed, (limit < 0).tolist(), strict=True)]
