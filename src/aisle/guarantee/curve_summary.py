"""The operating curve in numbers and words, as the command line, model cards, reports, the API and the
console show it."""

from typing import Any, NamedTuple

from aisle.guarantee.label_gain import PAYS, LabelGain
from aisle.guarantee.policy import Policy
from aisle.guarantee.rule import OperatingPoint

NOTHING = "nothing can be guaranteed, every product is left for review"


class PointSummary(NamedTuple):
    """What happens to products at one precision of the curve.

    Attributes:
        precision: The guaranteed share of correct decisions, 0 to 1.
        full: Share of products that get a full path.
        branch: Shares of products that get a branch which ends at level 1, 2, ….
        decided: Share of products decided automatically: `full` and all of `branch`.
        review: Share of products left for review.
        text: The same in a sentence without its subject.
    """

    precision: float
    full: float
    branch: tuple[float, ...]
    decided: float
    review: float
    text: str


class CurveSummary(NamedTuple):
    """The operating curve of a policy.

    Attributes:
        precision: The chosen precision, 0 to 1.
        alpha: Probability, at most, that the guarantee of one point does not hold.
        together: Probability, at least, that the guarantees of all points hold at once.
        method: `cross-fit` or `hold-out`.
        rows: Labelled rows that the rules were tested on.
        points: From the highest precision to the lowest; empty for a model that is not calibrated.
        statement: What is guaranteed.
        advice: Where nothing is decided automatically: what can be guaranteed instead; empty elsewhere.
        instead: The precision that `advice` names; None if it names none.
        labels: What more labelled rows would change at this precision, in words.
        label_gain: The same in numbers; None where it cannot be estimated.
    """

    precision: float
    alpha: float
    together: float
    method: str
    rows: int
    points: tuple[PointSummary, ...]
    statement: str
    advice: str
    instead: float | None
    labels: str
    label_gain: LabelGain | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, for JSON."""
        gain = self.label_gain._asdict() if self.label_gain else None
        return {**self._asdict(), "points": [point._asdict() for point in self.points], "label_gain": gain}


def summarize_curve(policy: Policy) -> CurveSummary:
    """Summarize the operating curve of a policy.

    Args:
        policy: The policy; one that is not calibrated has no points.
    """
    points = tuple(map(_point, policy.curve))
    chosen, alpha = policy.settings.precision, policy.settings.alpha
    together = max(0.0, 1 - len(points) * alpha) if points else 0.0
    rows = policy.curve[0].rows if policy.curve else 0
    advice, instead = _advice(policy, points, rows)
    return CurveSummary(
        precision=chosen,
        alpha=alpha,
        together=together,
        method=policy.method,
        rows=rows,
        points=points,
        statement=_statement(alpha, together, rows, len(points)),
        advice=advice,
        instead=instead,
        labels=_labels(policy) if points else "",
        label_gain=policy.label_gain if policy.label_gain and policy.label_gain.precision == chosen else None,
    )


def share(value: float) -> str:
    """`0.168` -> `16.8%`; a share that is not 0 is never shown as 0."""
    return "<0.1%" if 0 < value < 0.0005 else f"{value:.1%}"


def exact(precision: float) -> str:
    """`0.95` -> `95%`, `0.975` -> `97.5%`."""
    return f"{round(100 * precision, 6):g}%"


def _point(point: OperatingPoint) -> PointSummary:
    return PointSummary(
        point.precision, point.full, point.branch, point.decided, point.review, _point_text(point)
    )


def _point_text(point: OperatingPoint) -> str:
    if not point.decided:
        return NOTHING
    levels = [f"{share(value)} down to level {k}" for k, value in enumerate(point.branch, 1) if value > 0]
    branches = sum(point.branch)
    named = (
        f" ({', '.join(levels)})" if len(levels) > 1 else f" (level {_only(point.branch)})" if levels else ""
    )
    parts = [f"{share(point.full)} of products get a full path"] if point.full else []
    if branches:
        subject = "" if parts else " of products get"
        parts.append(f"{share(branches)}{subject} a branch{named}")
    if branches and not point.full:
        parts.append("none a full path")
    return ", ".join([*parts, f"{share(point.review)} are left for review"])


def _only(branch: tuple[float, ...]) -> int:
    return next(k for k, value in enumerate(branch, 1) if value > 0)


def _statement(alpha: float, together: float, rows: int, count: int) -> str:
    """What is guaranteed of each point, and of all at once."""
    if not count:
        return "Nothing is guaranteed: the model is not calibrated."
    all_hold = (
        f"all {count} precisions hold at once with probability {exact(together)} or more"
        if together > 0
        else f"no bound is left for all {count} precisions at once"
    )
    return (
        f"With probability {exact(1 - alpha)} or more over the {rows:,} labelled rows it was tested on, the "
        "chosen precision holds for full paths, and for branches, of products like these rows. That is for a "
        f"precision chosen beforehand; {all_hold}, whichever is chosen after a look."
    )


def _advice(policy: Policy, points: tuple[PointSummary, ...], rows: int) -> tuple[str, float | None]:
    """What can be guaranteed, and at which precision, where nothing is at the chosen one."""
    chosen = policy.settings.precision
    if not points:
        return "the model is not calibrated: `aisle calibrate` with labelled rows fits a guarantee", None
    if policy.point is not None and policy.point.decided:
        return "", None
    able = [point for point in points if point.decided and point.precision < chosen]
    nothing = f"at {exact(chosen)} nothing can be guaranteed"
    if able:
        best = max(able, key=lambda point: point.precision)
        return f"{nothing}; at {exact(best.precision)}, {best.text}", best.precision
    lowest = policy.curve[-1]
    needed = [one.needed for one in lowest.guarantees if not one.branch and one.needed is not None]
    tested = f"{nothing}, nor at any precision down to {exact(lowest.precision)}, with {rows:,} labelled rows"
    if needed:
        return f"{tested}; for {exact(lowest.precision)} about {about(min(needed)):,} would do", None
    return f"{tested}: the model reaches that at no confidence; correct or add labels (`aisle audit`)", None


def _labels(policy: Policy) -> str:
    """What more labels would change at the chosen precision."""
    gain, chosen = policy.label_gain, exact(policy.settings.precision)
    if gain is None or gain.precision != policy.settings.precision:
        return f"What more labels would change at {chosen} is not estimated."
    more = f"{gain.labels:,} more labelled products, drawn at random"
    if gain.expected - gain.decided >= PAYS:
        return (
            f"Label {gain.labels:,} more products, drawn at random: expected +{gain.points:.0f} points of "
            f"automatic decisions at {chosen} ({share(gain.decided)} to {share(gain.expected)}), without "
            "what the model learns from them."
        )
    if not gain.expected:
        return f"{more}, would not be expected to guarantee anything at {chosen}."
    return f"{more}, would be expected to change automatic decisions at {chosen} by less than a point."


def chosen_labels(policy: Policy, count: int, method: str) -> str:
    """What labels of products that `aisle label-next` chose would change at the chosen precision.

    Args:
        policy: The model's policy.
        count: Number of products chosen.
        method: `informative`, `random` or `mixed`. Only the products drawn at random count: half of
            `mixed`, none of `informative`.
    """
    chosen = exact(policy.settings.precision)
    drawn = {"random": count, "mixed": count // 2}.get(method, 0)
    if not drawn:
        return (
            f"What these labels would change at {chosen} is not estimated: informative products are harder "
            "than those to come."
        )
    gain = policy.label_gain
    gain = gain.with_labels(drawn) if gain and gain.precision == policy.settings.precision else None
    if gain is None:
        return f"What these labels would change at {chosen} is not estimated."
    which = f"the {drawn:,} drawn at random" if method == "mixed" else f"these {drawn:,} products"
    if gain.expected - gain.decided >= PAYS:
        return (
            f"Labels of {which}: expected +{gain.points:.0f} points of automatic decisions at {chosen} "
            f"({share(gain.decided)} to {share(gain.expected)}), without what the model learns."
        )
    return (
        f"Labels of {which} would be expected to change automatic decisions at {chosen} by less than a point."
    )


def about(rows: float) -> int:
    """Round a number of rows up to two significant digits."""
    from math import ceil, floor, log10

    step = 10 ** max(floor(log10(max(rows, 1))) - 1, 0)
    return ceil(rows / step) * step
