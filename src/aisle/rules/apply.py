"""Applies rules to the predictions of a batch: after the model's confidences, before the decision.

Rules act on a product one after another: those of higher priority first, then in the order of the file.

- `force` decides the product; no later rule acts. It is passed over where an earlier rule excludes its
  category or wants a review.
- `deny` and `restrict` take away the confidence of the excluded categories; the others share it in proportion
  to what they had. One that would leave no category, given the earlier ones, is passed over.
- `review` leaves the product for review, whatever the confidence.

A product's rules depend on nothing but the product and the model's own prediction of it.
"""

from collections.abc import Iterable, Mapping, Sequence
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

MIN_LEFT = 0.5  # confidence that deny and restrict must leave for a decision to be automatic
SEPARATOR = ", "  # between the ids of rules that acted on one product
_MIN_EXCLUDED = 1e-12  # excluded confidence up to which deny and restrict change nothing


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
        predictions: (B,) of the model.
        faulty: (B,) bool: products that no rule may decide, because their rows are faulty.
        empty: (B,) bool: no view is present.
        ood: (B,) bool: probably of no category.
        problems: (B,) problems of each row.
    """

    products: Sequence[Product]
    sources: Sequence[str]
    confidences: Confidences
    predictions: list[Prediction]
    faulty: np.ndarray
    empty: np.ndarray
    ood: np.ndarray
    problems: Sequence[Sequence[str]]


def apply_rules(rules: CompiledRules, policy: Policy, batch: DecidedBatch) -> list[Prediction]:
    """The predictions of a batch with the rules applied, in order."""
    day = rules.ruleset.today
    outcomes: dict[int, Outcome] = {}
    rows = zip(batch.products, batch.sources, batch.predictions, strict=True)
    for i, (product, source, prediction) in enumerate(rows):
        if not batch.faulty[i]:
            found = outcome(rules.matching(product, prediction, source, day), rules.taxonomy)
            if found.acted:
                outcomes[i] = found
    decided = list(batch.predictions)
    excluded = {
        i: found.excluded
        for i, found in outcomes.items()
        if found.excluded is not None and found.forced is None
    }
    forced = _forced(batch, {i: found.forced for i, found in outcomes.items() if found.forced is not None})
    narrowed = _narrowed(policy, batch, excluded)
    for i, found in outcomes.items():
        prediction = forced.get(i, batch.predictions[i])
        decided[i] = _decided(prediction, found, narrowed.get(i))
    return decided


def _narrowed(
    policy: Policy, batch: DecidedBatch, masks: Mapping[int, np.ndarray]
) -> dict[int, tuple[Prediction, float]]:
    """Predict some rows again without the categories that rules exclude.

    Args:
        policy: Thresholds and guarantee.
        batch: The batch.
        masks: (N,) bool by row: the excluded terminals.

    Returns:
        By row: the prediction, and the share of the model's confidence that is not excluded.
    """
    if not masks:
        return {}
    rows = list(masks)
    index = np.array(rows)
    excluded = np.stack(list(masks.values()))
    before = batch.confidences[index]
    chances = np.exp(before.logp.astype(np.float64))
    left = np.clip(1.0 - np.where(excluded, chances, 0.0).sum(1), 0.0, 1.0)
    logp = np.where(excluded, -np.inf, before.logp.astype(np.float64))
    impossible = ~np.isfinite(logp.max(1))  # nothing is left that the model gives any probability
    logp[impossible] = np.where(excluded[impossible], -np.inf, 0.0)
    total = logsumexp(logp, axis=1)
    # Where neighbors left a part of the confidence to no category at all, it stays there.
    share = np.where(
        impossible | (left <= 0), 1.0, np.minimum(np.exp(total) / np.maximum(left, np.exp(total)), 1.0)
    )
    with np.errstate(divide="ignore"):
        logp = (logp - (total - np.log(share))[:, None]).astype(before.logp.dtype)
    path = descend(Scores(before.taxonomy, logp))
    path = path._replace(confidence=path.confidence * share[:, None])
    changed = Confidences(before.taxonomy, logp, path)
    ids = [batch.products[i].id for i in rows]
    problems = [batch.problems[i] for i in rows]
    model_id = batch.predictions[rows[0]].model_id
    found = predictions(policy, ids, changed, batch.empty[index], batch.ood[index], problems, model_id)
    return dict(zip(rows, zip(found, left.tolist(), strict=True), strict=True))


def _decided(own: Prediction, found: Outcome, narrowed: tuple[Prediction, float] | None) -> Prediction:
    """The prediction of one product on which rules act.

    Args:
        own: The model's, or that of a rule that decides.
        found: What rules do to the product.
        narrowed: Without the categories that rules exclude, as `_narrowed` predicts.
    """
    ids = SEPARATOR.join(rule.config.id for rule in found.acted)
    if found.forced is not None:
        return replace(own, rule=ids)
    prediction, left = (own, 1.0) if narrowed is None else narrowed
    excluded = 1.0 - left
    if narrowed is not None and excluded <= _MIN_EXCLUDED:  # what is excluded had no confidence
        prediction = own
        ids = SEPARATOR.join(
            rule.config.id for rule in found.acted if rule.config.action == "review" or rule is found.slow
        )
    if found.slow is not None:
        name = found.slow.config.id
        return replace(_reviewed(prediction), rule=ids, reason=f"rule {name}: its regex takes too long here")
    if found.review is not None:
        return replace(_reviewed(prediction), rule=ids, reason=rule_reason(found.review))
    if not ids:
        return prediction
    narrowing = "; ".join(rule_reason(rule) for rule in found.acted)
    if left < MIN_LEFT and prediction.decision != "review":
        reason = (
            f"{narrowing}; it excludes {excluded:.0%} of the model's confidence: not decided automatically"
        )
        return replace(_reviewed(prediction), rule=ids, reason=reason)
    return replace(prediction, rule=ids, reason=f"{narrowing}; {prediction.reason}")


def _reviewed(prediction: Prediction) -> Prediction:
    return replace(prediction, decision="review", path=(), path_id="")


def rule_reason(rule: CompiledRule) -> str:
    """A rule in a prediction's reason: `rule nike: sold as shoes`."""
    config = rule.config
    what = {"force": "decides", "review": "asks for a review"}.get(config.action, "excludes categories")
    return f"rule {config.id}: {config.reason or what}"


def _forced(batch: DecidedBatch, rules: Mapping[int, CompiledRule]) -> dict[int, Prediction]:
    """Predictions of the rows that rules decide, with the model's own confidence in those categories."""
    if not rules:
        return {}
    confidences = batch.confidences[np.array(list(rules))]
    taxonomy, logp = confidences.taxonomy, confidences.logp
    best = np.array([_best(rule, taxonomy, logp[i]) for i, rule in enumerate(rules.values())])
    lineage = np.minimum(np.exp(confidences.lineage(best).astype(np.float64)), 1.0)
    found = {}
    for (row, rule), node, levels in zip(rules.items(), best.tolist(), lineage.tolist(), strict=True):
        there, top = taxonomy.nodes[rule.nodes[0]], taxonomy.nodes[node]
        confidence = tuple(levels[: len(top.path)])
        others = [one for one in batch.predictions[row].alternatives if one.path != top.path]
        found[row] = replace(
            batch.predictions[row],
            best=top.path,
            best_id=top.id,
            path=there.path,
            path_id=there.id,
            confidence=confidence,
            decision="accept" if there.path == top.path else "partial",
            reason=rule_reason(rule),
            alternatives=(Alternative(top.path, confidence[-1]), *others[: ALTERNATIVES - 1]),
            threshold=None,
        )
    return found


def _best(rule: CompiledRule, taxonomy: Taxonomy, logp: np.ndarray) -> int:
    """The category that a rule forces; where no product can be in it, the most probable one below."""
    node = rule.nodes[0]
    if taxonomy.terminal_of[node] >= 0:
        return node
    start, stop = rule.spans[0]
    return int(taxonomy.terminals[start + np.argmax(logp[start:stop])])
