"""What each rule does to the products of a catalog, and how it agrees with labels and with the model."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from aisle.data import Product
from aisle.guarantee import Prediction
from aisle.rules.apply import outcome
from aisle.rules.conditions import CompiledRule
from aisle.rules.ruleset import CompiledRules
from aisle.taxonomy import CategoryPath, format_path

EXAMPLES = 3  # products named for each contradiction or conflict


@dataclass
class RuleResult:
    """What one rule does.

    Attributes:
        id: The rule.
        action: Its action.
        categories: Its categories.
        priority: Its priority.
        owner: Its owner.
        expired: Whether it no longer acts.
        touched: Products that it concerns.
        acted: Of those, how many no earlier rule took from it.
        changed: Of those, how many get another category or decision than without rules.
        labelled: Touched products whose label can tell whether the rule is right.
        right: Of those, how many the rule is right about.
        agreed: Touched products where the model's own best category agrees with the rule.
        slow: Products on which one of its patterns takes too long.
        shadowed_by: The rules that most often act instead of it.
        wrong: Examples of labels that contradict it: id, title and label.
    """

    id: str
    action: str
    categories: list[str]
    priority: int
    owner: str
    expired: bool
    touched: int = 0
    acted: int = 0
    changed: int = 0
    labelled: int = 0
    right: int = 0
    agreed: int = 0
    slow: int = 0
    shadowed_by: list[str] = field(default_factory=list)
    wrong: list[dict[str, str]] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """What to look at: `expired`, `touches nothing`, `shadowed`, `does nothing`, `contradicts labels`,
        `slow regex`."""
        found = ["expired"] if self.expired else []
        if not self.expired and not self.touched:
            found.append("touches nothing")
        if self.touched and not self.acted:
            found.append("shadowed")
        if self.acted and not self.changed:
            found.append("does nothing")
        if self.right < self.labelled:
            found.append("contradicts labels")
        return [*found, "slow regex"] if self.slow else found

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON data."""
        return {**asdict(self), "findings": self.findings}


@dataclass
class Conflict:
    """Two rules that want different categories for the same products.

    Attributes:
        wins: The rule that acts.
        loses: The rule that does not.
        products: How many products.
        examples: Ids of some.
    """

    wins: str
    loses: str
    products: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class RulesReport:
    """What the rules of a file do to a catalog.

    Attributes:
        products: All products.
        touched: Products that any rule concerns.
        decided: Products that are decided automatically where a rule acted.
        rules: One result a rule, in the order in which they act.
        conflicts: Pairs of rules that contradict each other, the most frequent first.
    """

    products: int
    touched: int
    decided: int
    rules: list[RuleResult]
    conflicts: list[Conflict]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON data."""
        return {
            "products": self.products,
            "touched": self.touched,
            "decided_by_rules": self.decided,
            "rules": [one.to_dict() for one in self.rules],
            "conflicts": [asdict(one) for one in self.conflicts],
        }


def check_rules(
    rules: CompiledRules,
    rows: Iterable[tuple[Product, str, CategoryPath | None, Prediction, Prediction]],
) -> RulesReport:
    """Compare rules with labels, with the model and with each other.

    Args:
        rules: The rules.
        rows: Of each product: itself, its file, its label if it has one, the model's own prediction, and the
            prediction with the rules.
    """
    today = rules.ruleset.today
    results = [_empty(rule, rules, today) for rule in rules.rules]
    shadows: list[Counter[str]] = [Counter() for _ in results]
    conflicts: dict[tuple[str, str], Conflict] = {}
    products = touched = decided = 0
    for product, source, label, prediction, final in rows:
        products += 1
        matching = list(rules.matching(product, prediction, source))
        if not matching:
            continue
        touched += 1
        decided += bool(final.rule) and final.decision != "review"
        acted = {rule.number for rule in outcome(matching, rules.taxonomy).acted}
        changed = (prediction.path, prediction.best, prediction.decision) != (
            final.path,
            final.best,
            final.decision,
        )
        first = next((rule for rule, _ in matching if rule.number in acted), None)
        for rule, slow in matching:
            result = results[rule.number]
            result.touched += 1
            result.slow += slow
            if rule.number in acted:
                result.acted += 1
                result.changed += changed
            elif first is not None:
                shadows[rule.number][first.config.id] += 1
            _compare(result, rule, rules, product, label, prediction)
        for one, other in combinations([rule for rule, slow in matching if not slow], 2):
            if _contradict(one, other, rules):
                key = (one.config.id, other.config.id)
                found = conflicts.setdefault(key, Conflict(*key))
                found.products += 1
                found.examples += [product.id] if len(found.examples) < EXAMPLES else []
    for result, shadow in zip(results, shadows, strict=True):
        result.shadowed_by = [name for name, _ in shadow.most_common(EXAMPLES)]
    ordered = sorted(conflicts.values(), key=lambda one: -one.products)
    return RulesReport(products, touched, decided, results, ordered)


def _empty(rule: CompiledRule, rules: CompiledRules, today: Any) -> RuleResult:
    config, nodes = rule.config, rules.taxonomy.nodes
    return RuleResult(
        config.id,
        config.action,
        [format_path(nodes[node].path) for node in rule.nodes],
        config.priority,
        config.owner,
        not config.acts_on(today),
    )


def _compare(
    result: RuleResult,
    rule: CompiledRule,
    rules: CompiledRules,
    product: Product,
    label: CategoryPath | None,
    prediction: Prediction,
) -> None:
    """Count whether the label and the model agree with a rule."""
    if rule.config.action == "review":
        result.agreed += prediction.decision == "review"
        return
    paths = [rules.taxonomy.nodes[node].path for node in rule.nodes]
    result.agreed += _agrees(rule, prediction.best, paths)
    if label is None or not _tells(label, paths):
        return
    result.labelled += 1
    if _agrees(rule, label, paths):
        result.right += 1
    elif len(result.wrong) < EXAMPLES:
        title = product.fields.get("title", "")
        result.wrong.append({"id": product.id, "title": title[:60], "label": format_path(label)})


def _tells(label: CategoryPath, paths: list[CategoryPath]) -> bool:
    """Whether a label is deep enough to tell if a product is in one of the branches."""
    return not any(len(label) < len(path) and path[: len(label)] == label for path in paths)


def _agrees(rule: CompiledRule, path: CategoryPath, paths: list[CategoryPath]) -> bool:
    inside = any(path[: len(branch)] == branch for branch in paths)
    return inside != (rule.config.action == "deny")


def _contradict(one: CompiledRule, other: CompiledRule, rules: CompiledRules) -> bool:
    """Whether two rules that concern one product cannot both be right."""
    kinds = {one.config.action, other.config.action}
    if "force" not in kinds or "review" in kinds:
        return False
    force, second = (one, other) if one.config.action == "force" else (other, one)
    node, taxonomy = force.nodes[0], rules.taxonomy
    path = taxonomy.nodes[node].path
    paths = [taxonomy.nodes[n].path for n in second.nodes]
    nested = any(path[: len(branch)] == branch or branch[: len(path)] == path for branch in paths)
    if second.config.action == "deny":
        return any(path[: len(branch)] == branch for branch in paths)
    return not nested
