"""Applies rules to the predictions of a batch: after the model's confidences, before the decision.

Rules act on a product one after another: those of higher priority first, then in the order of the file.

- `force` decides the product; no later rule acts. It is passed over where an earlier rule excludes its
  category or wants a review.
- `deny` and `restrict` take away the confidence of the excluded categories; the others share it in proportion
  to what they had. One that would leave no category, given the earlier ones, is passed over.
- `review` leaves the product for review, whatever the confidence.

A product's rules depend on nothing but the product and the model's own prediction of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import logsumexp

from aisle.data import Product
from aisle.guarantee import Alternative, Confidences, Policy, Prediction
from aisle.guarantee.path_confidence import descend
from aisle.guarantee.predictions import ALTERNATIVES, predictions
from aisle.rules.conditions import CompiledRule
from aisle.rules.ruleset import CompiledRules
from aisle.taxonomy import Scores, Taxonomy

MIN_KEPT = 0.5  # confidence that deny and restrict must leave for a decision to be automatic
SEPARATOR = ", "  # between the ids of rules that acted on one product
_NOTHING = 1e-9  # confidence below which nothing is taken away


@dataclass
class Outcome:
    """What rules do to one product.

    Attributes:
        acted: The rules that act, in order.
        forced: The rule that decides.
        review: The rule that wants a review.
        slow: A rule one of whose patterns took too long.
        excluded: (N,) bool, terminals that deny and restrict exclude; None without such rules.
    """

    acted: list[CompiledRule] = field(default_factory=list)
    forced: CompiledRule | None = None
    review: CompiledRule | None = None
    slow: CompiledRule | None = None
    excluded: np.ndarray | None = None


def outcome(matching: Iterable[tuple[CompiledRule, bool]], taxonomy: Taxonomy) -> Outcome:
    """What the rules that concern a product do to it.

    Args:
        matching: Rules in the order in which they act, and whether one's pattern took too long.
        taxonomy: The tree.
    """
    found = Outcome()
    for rule, too_slow in matching:
        if too_slow:
            found.slow = found.slow or rule
            found.acted.append(rule)
        elif rule.config.action == "review":
            found.review = found.review or rule
            found.acted.append(rule)
        elif rule.config.action == "force":
            if found.review or found.slow or not _allowed(found, rule.nodes[0], taxonomy):
                continue
            found.forced = rule
            found.acted.append(rule)
            break
        else:
            excluded = _excluded(rule, taxonomy)
            if found.excluded is not None:
                excluded = excluded | found.excluded
            if not excluded.all():
                found.excluded = excluded
                found.acted.append(rule)
    return found


def _allowed(found: Outcome, node: int, taxonomy: Taxonomy) -> bool:
    start, stop = taxonomy.span[node]
    return found.excluded is None or not bool(found.excluded[start:stop].all())


def _excluded(rule: CompiledRule, taxonomy: Taxonomy) -> np.ndarray:
    """(N,) bool: the terminals that a deny or restrict excludes."""
    inside = np.zeros(len(taxonomy.terminals), bool)
    for start, stop in taxonomy.span[list(rule.nodes)].tolist():
        inside[start:stop] = True
    return inside if rule.config.action == "deny" else ~inside


@dataclass(frozen=True)
class DecidedBatch:
    """A batch of B products as the model decides it.

    Attributes:
        products: The products.
        sources: (B,) names of the files they come from.
        confidences: The model's confidences.
        own: (B,) the model's own predictions.
        held: (B,) bool: products that no rule may decide, because their rows are faulty.
        empty: (B,) bool: no view is present.
        ood: (B,) bool: probably of no category.
        problems: (B,) problems of each row.
    """

    products: Sequence[Product]
    sources: Sequence[str]
    confidences: Confidences
    own: list[Prediction]
    held: np.ndarray
    empty: np.ndarray
    ood: np.ndarray
    problems: Sequence[Sequence[str]]


def apply_rules(rules: CompiledRules, policy: Policy, batch: DecidedBatch) -> list[Prediction]:
    """The predictions of a batch with the rules applied, in order."""
    day = rules.ruleset.today
    outcomes: dict[int, Outcome] = {}
    for i, (product, source, own) in enumerate(zip(batch.products, batch.sources, batch.own, strict=True)):
        if not batch.held[i]:
            found = outcome(rules.matching(product, own, source, day), rules.taxonomy)
            if found.acted:
                outcomes[i] = found
    decided = list(batch.own)
    narrowed = [i for i, found in outcomes.items() if found.excluded is not None and found.forced is None]
    decided_again = dict(zip(narrowed, _narrowed(policy, batch, outcomes, narrowed), strict=True))
    for i, found in outcomes.items():
        decided[i] = _decided(batch, i, found, decided_again.get(i))
    return decided


def _narrowed(
    policy: Policy, batch: DecidedBatch, outcomes: dict[int, Outcome], rows: list[int]
) -> list[tuple[Prediction, float]]:
    """The predictions without the excluded categories, and the confidence that was left of each product."""
    if not rows:
        return []
    index = np.array(rows)
    excluded = np.stack([_mask(outcomes[i]) for i in rows])
    before = batch.confidences[index]
    chances = np.exp(before.logp.astype(np.float64))
    kept = np.clip(1.0 - np.where(excluded, chances, 0.0).sum(1), 0.0, 1.0)
    logp = np.where(excluded, -np.inf, before.logp.astype(np.float64))
    lost = ~np.isfinite(logp.max(1))  # nothing is left that the model gives any probability
    logp[lost] = np.where(excluded[lost], -np.inf, 0.0)
    total = logsumexp(logp, axis=1)
    # Where neighbors left a part of the confidence to no category at all, it stays there.
    share = np.where(
        lost | (kept <= 0), 1.0, np.minimum(np.exp(total) / np.maximum(kept, np.exp(total)), 1.0)
    )
    with np.errstate(divide="ignore"):
        logp = (logp - (total - np.log(share))[:, None]).astype(before.logp.dtype)
    path = descend(Scores(before.taxonomy, logp))
    path = path._replace(confidence=path.confidence * share[:, None])
    changed = Confidences(before.taxonomy, logp, path)
    ids = [batch.products[i].id for i in rows]
    problems = [batch.problems[i] for i in rows]
    model_id = batch.own[rows[0]].model_id
    found = predictions(policy, ids, changed, batch.empty[index], batch.ood[index], problems, model_id)
    return list(zip(found, kept.tolist(), strict=True))


def _mask(found: Outcome) -> np.ndarray:
    assert found.excluded is not None
    return found.excluded


def _decided(
    batch: DecidedBatch, row: int, found: Outcome, narrowed: tuple[Prediction, float] | None
) -> Prediction:
    """The prediction of one product on which rules act."""
    ids = SEPARATOR.join(rule.config.id for rule in found.acted)
    if found.forced is not None:
        return replace(_forced(batch, row, found.forced), rule=ids)
    prediction, kept = (batch.own[row], 1.0) if narrowed is None else narrowed
    taken = 1.0 - kept
    if narrowed is not None and taken <= _NOTHING:  # what is excluded had no confidence
        prediction = batch.own[row]
        ids = SEPARATOR.join(
            rule.config.id for rule in found.acted if rule.config.action == "review" or rule is found.slow
        )
    if found.slow is not None:
        name = found.slow.config.id
        return replace(_reviewed(prediction), rule=ids, reason=f"rule {name}: its regex takes too long here")
    if found.review is not None:
        return replace(_reviewed(prediction), rule=ids, reason=said(found.review))
    if not ids:
        return prediction
    narrowing = "; ".join(said(rule) for rule in found.acted)
    if kept < MIN_KEPT and prediction.decision != "review":
        reason = f"{narrowing}; it excludes {taken:.0%} of the model's confidence: not decided automatically"
        return replace(_reviewed(prediction), rule=ids, reason=reason)
    return replace(prediction, rule=ids, reason=f"{narrowing}; {prediction.reason}")


def _reviewed(prediction: Prediction) -> Prediction:
    return replace(prediction, decision="review", path=(), path_id="")


def said(rule: CompiledRule) -> str:
    """A rule in a prediction's reason: `rule nike: sold as shoes`."""
    config = rule.config
    what = {"force": "decides", "review": "asks for a review"}.get(config.action, "excludes categories")
    return f"rule {config.id}: {config.reason or what}"


def _forced(batch: DecidedBatch, row: int, rule: CompiledRule) -> Prediction:
    """The prediction of a product that a rule decides, with the model's own confidence in that category."""
    own, confidences, taxonomy = batch.own[row], batch.confidences[row : row + 1], batch.confidences.taxonomy
    node = rule.nodes[0]
    start, stop = taxonomy.span[node]
    end = taxonomy.terminal_of[node]
    terminal = int(end) if end >= 0 else int(start + np.argmax(confidences.logp[0, start:stop]))
    best = int(taxonomy.terminals[terminal])
    depth = int(taxonomy.node_depth[best])
    sure = np.exp(confidences.lineage(np.array([best]))[0, :depth].astype(np.float64))
    path = taxonomy.nodes[best].path
    others = [one for one in own.alternatives if one.path != path]
    return replace(
        own,
        best=path,
        best_id=taxonomy.nodes[best].id,
        path=taxonomy.nodes[node].path,
        path_id=taxonomy.nodes[node].id,
        confidence=tuple(np.minimum(sure, 1.0).tolist()),
        decision="accept" if end >= 0 else "partial",
        reason=said(rule),
        alternatives=(Alternative(path, float(min(sure[-1], 1.0))), *others[: ALTERNATIVES - 1]),
        threshold=None,
    )
