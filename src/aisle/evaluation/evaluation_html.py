"""An evaluation in a notebook."""

from typing import TYPE_CHECKING

from aisle.evaluation.scores import ConfidenceInterval, Decisions
from aisle.repr_html import card, line, percent, table

if TYPE_CHECKING:
    from aisle.evaluation.result import Evaluation


def evaluation_html(evaluation: "Evaluation") -> str:
    """Accuracy, macro-F1 and decisions, compared with the baseline where there is one, and each level."""
    overall, baseline, decisions = evaluation.model.overall, evaluation.baseline, evaluation.decisions
    header, rows = ["", "model"], [
        ["path accuracy", percent(overall.accuracy.value)],
        ["macro-F1", percent(overall.macro_f1)],
        ["top-5 accuracy", percent(overall.top5)],
    ]  # fmt: skip
    if baseline is not None:
        other = baseline.summary.overall
        header += [baseline.name, "difference (95% interval)"]
        changes = baseline.differences
        for row, value, change in zip(
            rows,
            (other.accuracy.value, other.macro_f1, other.top5),
            (changes.get("accuracy"), changes.get("macro_f1"), None),
            strict=True,
        ):
            row += [percent(value), "" if change is None else _interval(change)]
    levels = [
        (f"level {level.level}", f"{level.products:,}", percent(level.accuracy), percent(level.macro_f1))
        for level in evaluation.model.levels
    ]
    return card(
        f"Evaluation: {evaluation.rows.evaluated:,} products evaluated",
        table(header, rows),
        table(("", "products", "accuracy", "macro-F1"), levels),
        "" if decisions is None else line(_decision_summary(decisions)),
    )


def _interval(change: ConfidenceInterval) -> str:
    return f"{change.value:+.1%} ({change.low:+.1%} to {change.high:+.1%})"


def _decision_summary(decisions: Decisions) -> str:
    kinds = ((decisions.accept, "a full path"), (decisions.partial, "a partial path"))
    parts = []
    for kind, name in kinds:
        right = f", {kind.precision.value:.1%} of these are right" if kind.precision is not None else ""
        parts.append(f"{kind.coverage:.1%} get {name}{right}")
    parts.append(f"{decisions.review.coverage:.1%} are for review")
    if decisions.by_rules is not None:
        ruled = decisions.by_rules.decided
        right = f", {ruled.precision.value:.1%} of these are right" if ruled.precision is not None else ""
        parts.append(f"rules decide {ruled.coverage:.1%}{right}")
        parts.append(f"rules leave {decisions.by_rules.review.coverage:.1%} for review")
    return f"decisions: {'; '.join(parts)}"
