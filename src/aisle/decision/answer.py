"""Predictions as they leave: best path, how far it is sure, alternatives, and why it stopped."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aisle.decision.descent import Descent
from aisle.decision.prediction import Alternative, Prediction, Verdict
from aisle.taxonomy import Scores, Taxonomy, format_path

if TYPE_CHECKING:
    from aisle.decision.policy import Limits, Policy

ALTERNATIVES = 5
NO_VIEW = "no view is present: the answer is only what is usual in this shop"
STRANGE = "may belong nowhere in the tree: unlike the products learned from, or disputed by the nearest"


def predictions(
    policy: "Policy",
    ids: Sequence[str],
    calibrated: Scores,
    descent: Descent,
    empty: np.ndarray,
    strange: np.ndarray,
    problems: Sequence[Sequence[str]] | None,
    model_id: str,
) -> list[Prediction]:
    """One a row of calibrated scores and the way down; see `Policy.predict`.

    empty: (B,) no view is present. strange: (B,) probably belongs nowhere in the tree.
    """
    if not len(ids):
        return []
    taxonomy, limits = calibrated.taxonomy, policy.limits(calibrated.taxonomy)
    stops = policy.stops(taxonomy, descent, empty | strange)
    top = calibrated.topk(ALTERNATIVES)
    nodes, chances = top.node.tolist(), np.exp(top.logp.astype(np.float64)).tolist()
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
                problems=(*told, STRANGE) if odd else told,
                model_id=model_id,
            )
        )
    return found


def why(
    policy: "Policy", taxonomy: Taxonomy, limits: "Limits", way: list[int], sure: list[float], stop: int
) -> str:
    """Why one product's way down these nodes, each so sure, stopped after `stop` levels: for people."""
    if stop == len(way):
        return f"sure to the end: {sure[-1]:.3f}"
    if not policy.rules:
        return "not calibrated: nothing is promised"
    node, sureness = way[stop], sure[stop]  # the first level not answered
    last = stop + 1 == len(way)
    name = format_path(taxonomy.nodes[node].path)
    if limits.never[node]:
        return f"{name!r} is never answered automatically"
    if not limits.known[node]:
        return f"{name!r} was not in the tree when the promise was fitted: calibrate again"
    limit = (limits.accept if last else limits.partial)[node]
    if limit < 0:
        what = "full paths" if last else f"level {stop + 1}"
        return f"nothing is promised for {what} here: too few rows, or too many mistakes among them"
    needed = 1 - limit / limits.cost[node]
    return f"{name!r} is {sureness:.3f} sure, {needed:.3f} is needed"
