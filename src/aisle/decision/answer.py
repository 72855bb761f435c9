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
    paths = [node.path for node in taxonomy.nodes]
    confidence = descent.confidence.tolist()
    found = []
    for i, (best, depth, stop) in enumerate(
        zip(descent.best.tolist(), descent.depth.tolist(), stops.tolist(), strict=True)
    ):
        node = int(descent.nodes[i, stop - 1]) if stop else -1
        decision: Verdict = "review" if not stop else "accept" if stop == depth else "partial"
        if empty[i]:
            reason = NO_VIEW
        elif strange[i]:
            reason = STRANGE
        else:
            reason = why(policy, taxonomy, limits, descent, i, stop)
        told = tuple(problems[i]) if problems is not None else ()
        found.append(
            Prediction(
                id=ids[i],
                best=paths[best],
                best_id=taxonomy.nodes[best].id,
                path=paths[node] if stop else (),
                path_id=taxonomy.nodes[node].id if stop else "",
                confidence=tuple(confidence[i][:depth]),
                decision=decision,
                reason=reason,
                alternatives=tuple(
                    Alternative(paths[n], c) for n, c in zip(nodes[i], chances[i], strict=True)
                ),
                problems=(*told, STRANGE) if strange[i] else told,
                model_id=model_id,
            )
        )
    return found


def why(policy: "Policy", taxonomy: Taxonomy, limits: "Limits", descent: Descent, row: int, stop: int) -> str:
    """Why the descent stopped after `stop` levels, for a person to read."""
    depth = int(descent.depth[row])
    if stop == depth:
        return f"sure to the end: {descent.confidence[row, stop - 1]:.3f}"
    if not policy.rules:
        return "not calibrated: nothing is promised"
    node = int(descent.nodes[row, stop])  # the first level not answered
    last = stop + 1 == depth
    name = format_path(taxonomy.nodes[node].path)
    if limits.never[node]:
        return f"{name!r} is never answered automatically"
    if not limits.known[node]:
        return f"{name!r} was not in the tree when the promise was fitted: calibrate again"
    limit = (limits.accept if last else limits.partial)[node]
    sure = descent.confidence[row, stop]
    if limit < 0:
        what = "full paths" if last else f"level {stop + 1}"
        return f"nothing is promised for {what} here: too few rows, or too many mistakes among them"
    needed = 1 - limit / limits.cost[node]
    return f"{name!r} is {sure:.3f} sure, {needed:.3f} is needed"
