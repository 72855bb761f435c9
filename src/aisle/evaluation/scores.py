"""Scores of an evaluation: numbers over many products.

Shares lie between 0 and 1. A number that does not exist (no product to count over, a method without
probabilities) is null, never NaN.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from aisle.guarantee import Verdict


class ResultRecord(BaseModel):
    """A frozen part of a result; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfidenceInterval(ResultRecord):
    """A measured value between 95 % limits."""

    value: float
    low: float
    high: float


class RowCounts(ResultRecord):
    """Row counts: `total` = `evaluated` + `unlabelled` + `faulty`.

    Attributes:
        faulty: Rows with a fatal problem.
        branch: Evaluated rows whose label is known only to a branch.
        several: Evaluated rows with more than one acceptable category.
        outside: Evaluated rows whose categories the model's tree lacks; they count as wrong.
        unseen: Evaluated rows of categories without a training product; null if unknown.
        trained_on: Evaluated rows that the model was trained on, which bias the scores; null if unknown.
        ceiling: The best accuracy that is possible without `outside` and `unseen`.
    """

    total: int
    evaluated: int
    unlabelled: int
    faulty: int
    branch: int
    several: int
    outside: int
    unseen: int | None
    trained_on: int | None
    ceiling: float


class Overall(ResultRecord):
    """Scores over all products. Other metrics of `aisle.metrics.overall` are further keys.

    Attributes:
        accuracy: Share of products whose most probable full path is right, with Clopper-Pearson limits. A
            label known only to a branch is matched by any path in that branch.
        strict_accuracy: Share of products whose path is exactly that of the label.
        macro_f1: F1 averaged over the union of true and predicted labels, as in scikit-learn.
        weighted_f1: The same, weighted by products.
        top5: Share of products with a right path among the five most probable.
        ece: Expected calibration error.
        nll: Mean negative log-likelihood (nats) of the products that can be right.
        contest_score: Score of Kakao Arena's shopping contest; only for trees of four levels.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    accuracy: ConfidenceInterval
    strict_accuracy: float
    macro_f1: float
    weighted_f1: float
    top5: float
    hierarchical_precision: float
    hierarchical_recall: float
    hierarchical_f1: float
    ece: float | None = None
    nll: float | None = None
    contest_score: float | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """Every metric that is one number, by name."""
        return {name: value for name, value in self.model_dump().items() if isinstance(value, float)}


class LevelScore(ResultRecord):
    """Scores of paths cut to one level, over the products whose label reaches it."""

    level: int
    products: int
    classes: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    top5: float
    ece: float | None
    nll: float | None


class BandScore(ResultRecord):
    """Scores of labels with `low` to `high` training products; `high` is null in the last band."""

    name: str
    low: int
    high: int | None
    products: int
    classes: int
    accuracy: float
    macro_f1: float


class Summary(ResultRecord):
    """All scores of one method."""

    overall: Overall
    levels: tuple[LevelScore, ...]
    bands: tuple[BandScore, ...]


class BaselineResult(ResultRecord):
    """A baseline fitted on the same training rows and evaluated on the same products.

    Attributes:
        differences: The model minus the baseline in `accuracy`, `macro_f1` and `level1` (accuracy at level
            1), with paired bootstrap limits over products.
    """

    name: str
    train_products: int
    seconds: float
    summary: Summary
    differences: dict[str, ConfidenceInterval]


class ViewRemoved(ResultRecord):
    """Scores without one view. `change`: of accuracy, compared with all views, with paired limits."""

    view: str
    accuracy: float
    macro_f1: float
    level1: float
    change: ConfidenceInterval


class StageScore(ResultRecord):
    """A stage of a cascade.

    Attributes:
        share: Share of the evaluated products that the stage decided.
        accuracy: Share of these that are right; null if there are none.
        milliseconds: Core time per product that reaches the stage, as measured when the cascade was made.
    """

    name: str
    share: float
    accuracy: float | None
    milliseconds: float


class ReliabilityBin(ResultRecord):
    """Products whose confidence lies in (low, high], with their mean confidence and accuracy."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


class CoveragePoint(ResultRecord):
    """Coverage and precision if only products of at least this confidence are decided."""

    threshold: float
    coverage: float
    precision: float


class DecisionScore(ResultRecord):
    """Products that got one kind of decision.

    Attributes:
        count: Their number.
        coverage: Their share of the evaluated products.
        precision: Share of their paths that are right as far as they go; null if none was decided.
        guaranteed: The precision that is guaranteed for them; null if none is.
    """

    count: int
    coverage: float
    precision: ConfidenceInterval | None
    guaranteed: float | None = None


class RuleDecisions(ResultRecord):
    """Products on which rules acted. Rules answer for them: no guarantee covers them.

    Attributes:
        decided: Accepted or partial.
        review: Left for review.
    """

    decided: DecisionScore
    review: DecisionScore


class Decisions(ResultRecord):
    """The decisions of `predict`. Coverage is a share of all evaluated products.

    Attributes:
        accept: Products on which no rule acted, as `partial`, `placed`, `review` and `levels`.
        placed: Accepted or partial.
        levels: Level 1 downwards: the products whose path reaches that level.
        by_rules: The other products; null where no rule acted.
    """

    accept: DecisionScore
    partial: DecisionScore
    placed: DecisionScore
    review: DecisionScore
    levels: tuple[DecisionScore, ...]
    by_rules: RuleDecisions | None = None


class MeasuredPoint(ResultRecord):
    """One precision of the operating curve.

    Attributes:
        precision: The guaranteed share of correct decisions.
        full: Share of products expected to get a full path, from the rows that the rules were tested on.
        branch: Shares expected to get a branch that ends at level 1, 2, ….
        decided: `full` and all of `branch`.
        review: The share expected to be left for review.
        text: The expected shares in words.
        measured_full: The evaluated products that get a full path at this precision.
        measured_branch: Those that get a branch.
        measured_review: Those left for review.
    """

    precision: float
    full: float
    branch: tuple[float, ...]
    decided: float
    review: float
    text: str
    measured_full: DecisionScore
    measured_branch: DecisionScore
    measured_review: DecisionScore


class OperatingCurve(ResultRecord):
    """What the model decides automatically at each precision: expected, and on the evaluated products that no
    rule acted on.

    Attributes:
        precision: The precision that decides.
        alpha: Probability, at most, that the guarantee of one point does not hold.
        together: Probability, at least, that those of all points hold at once.
        method: `cross-fit` or `hold-out`.
        rows: Labelled rows that the rules were tested on.
        points: From the highest precision to the lowest; empty for a model that is not calibrated.
        statement: What is guaranteed.
        advice: Where nothing is decided: what can be guaranteed instead.
        instead: The precision to ask for then.
        labels: What more labelled rows would change, in words.
        label_gain: The same in numbers; null where it is not estimated.
    """

    precision: float
    alpha: float
    together: float
    method: str
    rows: int
    points: tuple[MeasuredPoint, ...]
    statement: str
    advice: str
    instead: float | None
    labels: str = ""
    label_gain: dict[str, Any] | None = None


class GuaranteeCurve(ResultRecord):
    """Precision by coverage as the threshold moves, strictest first; at most 60 points.

    Attributes:
        level: The level of the tree, from 1; 0 is the full path.
        branch: The id of a level-1 category; "" is the whole tree.
        lower: Exact one-sided 95 % lower limits of the precision.
        upper: Exact one-sided 95 % upper limits.
    """

    level: int
    branch: str
    products: int
    threshold: tuple[float, ...]
    coverage: tuple[float, ...]
    precision: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


class GuaranteeCheck(ResultRecord):
    """The guarantee of one kind of decision compared with what happened.

    Attributes:
        level: The level at which the paths end; 0 is any.
        branch: The id of a level-1 category; "" is the whole tree.
        shown: Whether the guarantee was established when the policy was fitted.
        right: How many of the `count` products are right.
        coverage: Share of the products that the model puts in the branch.
        lower: Exact one-sided 95 % lower limit of the precision.
        upper: Exact one-sided 95 % upper limit.
        broken: Whether `upper` is below the guaranteed precision.
    """

    verdict: Verdict
    level: int
    branch: str
    guaranteed: float
    shown: bool
    count: int
    right: int
    coverage: float
    precision: float | None
    lower: float
    upper: float
    broken: bool


class GuaranteeReport(ResultRecord):
    """Guaranteed and realized precision and coverage, by level and by level-1 category, of the products on
    which no rule acted."""

    curves: tuple[GuaranteeCurve, ...]
    checks: tuple[GuaranteeCheck, ...]


class NodeScore(ResultRecord):
    """Scores of one category.

    Attributes:
        train: Training products labelled at or below it; null if unknown.
        products: Evaluated products labelled at or below it.
        accuracy: Share of these that are predicted at or below it.
        path_accuracy: Share of these whose full path is right.
        predicted: Products predicted at or below it.
        precision: Share of those that belong there.
        coverage: Share of its products whose full path was accepted; null if the classifier has no policy.
    """

    id: str
    path: tuple[str, ...]
    train: int | None
    products: int
    accuracy: float | None
    path_accuracy: float | None
    predicted: int
    precision: float | None
    coverage: float | None = None


class Confusion(ResultRecord):
    """Products of branch `true` that are predicted in its sibling `predicted`.

    Attributes:
        level: The level where the two paths part. A path that ends above it stands for itself.
        share: Share of all products in `true`.
    """

    level: int
    true: tuple[str, ...]
    predicted: tuple[str, ...]
    count: int
    share: float


class Matrix(ResultRecord):
    """Confusion matrix of level 1: `counts[i][j]` products of category i are predicted in j."""

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
