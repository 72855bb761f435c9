"""What an evaluation found: typed, frozen, written to and read from JSON.

Shares lie between 0 and 1. A number that does not exist (no product to count over, a method without
probabilities) is null, never NaN.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisle.errors import AisleError
from aisle.guarantee import Verdict

FORMAT_VERSION = 1


class ResultRecord(BaseModel):
    """A frozen part of a result; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfidenceInterval(ResultRecord):
    """A measured `value` between 95 % limits."""

    value: float
    low: float
    high: float


class RowCounts(ResultRecord):
    """What became of the rows: `total` = `judged` + `unlabelled` + `faulty` (too broken to learn from).

    Of those judged: `branch` have a label known only to a branch, `several` more than one acceptable
    category, `outside` none that the model's tree holds (they count as wrong), `unseen` none that any
    training product had (null: unknown). `ceiling`: the best accuracy without these two. `trained_on`:
    products whose very content the model was trained on, which flatter it (null: unknown).
    """

    total: int
    judged: int
    unlabelled: int
    faulty: int
    branch: int
    several: int
    outside: int
    unseen: int | None
    trained_on: int | None
    ceiling: float


class Overall(ResultRecord):
    """Over all products. `accuracy`: the most probable full path is right, a label known only to a
    branch asking for that branch alone; limits are Clopper-Pearson's. `strict_accuracy`: the path is the
    label's to the letter. F1s average as scikit-learn's do by default, over the union of true and
    predicted labels. `nll` counts the products that can be right (natural logarithm). `contest_score`: of
    Kakao Arena's shopping contest, for trees of four levels. Other metrics of `aisle.metrics.overall` are
    further keys."""

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
    """Paths cut to one level, over the products whose label reaches it."""

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
    """Labels with `low` to `high` (null: no end) training products."""

    name: str
    low: int
    high: int | None
    products: int
    classes: int
    accuracy: float
    macro_f1: float


class Summary(ResultRecord):
    """One method's scores."""

    overall: Overall
    levels: tuple[LevelScore, ...]
    bands: tuple[BandScore, ...]


class BaselineResult(ResultRecord):
    """A baseline fitted on the same training rows and judged on the same products. `differences`:
    the model minus the baseline in `accuracy`, `macro_f1` and `level1` (accuracy at the top), with paired
    bootstrap limits over products."""

    name: str
    train_products: int
    seconds: float
    summary: Summary
    differences: dict[str, ConfidenceInterval]


class ViewRemoved(ResultRecord):
    """Every product answered without one view. `change`: of accuracy, against all views (paired)."""

    view: str
    accuracy: float
    macro_f1: float
    level1: float
    change: ConfidenceInterval


class StageScore(ResultRecord):
    """A stage of a cascade: the `share` of the products judged that it answered, how many of those are right
    (`accuracy`, null where it answered none), and `milliseconds` of a core a product that reaches it, as
    measured when the cascade was made."""

    name: str
    share: float
    accuracy: float | None
    milliseconds: float


class ReliabilityBin(ResultRecord):
    """Products whose confidence lies in (low, high]: how many, how sure, how often right."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


class CoveragePoint(ResultRecord):
    """Answering only products at least as sure as `threshold`."""

    threshold: float
    coverage: float
    precision: float


class DecisionScore(ResultRecord):
    """Products that got one kind of decision: `count`, as a share of those judged (`coverage`), and how
    many of their paths are true as far as they go (`precision`, null when none was decided). `guaranteed`:
    the precision guaranteed for them (null: nothing)."""

    count: int
    coverage: float
    precision: ConfidenceInterval | None
    guaranteed: float | None = None


class Decisions(ResultRecord):
    """What `predict` decided. `placed`: accepted or partial. `levels`: level 1 downwards, the
    products whose path reaches that level."""

    accept: DecisionScore
    partial: DecisionScore
    placed: DecisionScore
    review: DecisionScore
    levels: tuple[DecisionScore, ...]


class GuaranteeCurve(ResultRecord):
    """Precision against coverage were the limit moved, strictest first, at one `level` of the tree (1 is
    the top, 0 the full path) and in one top category (`branch`, an id; "" is the whole tree). `lower` and
    `upper`: exact one-sided 95 % limits. At most 60 points are kept."""

    level: int
    branch: str
    products: int
    threshold: tuple[float, ...]
    coverage: tuple[float, ...]
    precision: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


class GuaranteeCheck(ResultRecord):
    """The guarantee of one kind of decision compared with what happened. `level`: at which paths end (0:
    any); `branch`: a top category's id ("": the whole tree); `shown`: the guarantee holds. `right` of
    `count` products were; `coverage`: among those the model puts there. `broken`: even the one-sided
    95 % `upper` limit of the precision (null without products) lies below the guaranteed one."""

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
    """Guaranteed against realized precision and coverage, by level and by top category."""

    curves: tuple[GuaranteeCurve, ...]
    checks: tuple[GuaranteeCheck, ...]


class NodeScore(ResultRecord):
    """A node of the tree: `products` labelled at or below it, the share placed there (`accuracy`), the
    share given their full path (`path_accuracy`), products answered there (`predicted`) and the share
    of those that belong (`precision`). `train`: training products at or below it. `coverage`: the share of
    its products whose full path was accepted (null: the classifier decides nothing)."""

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
    """`count` products of branch `true` answered in its sibling branch `predicted`; `share` of all
    products in `true`. The level is where the two paths part; a path that ends above stands for itself."""

    level: int
    true: tuple[str, ...]
    predicted: tuple[str, ...]
    count: int
    share: float


class Matrix(ResultRecord):
    """`counts[i][j]`: products of top category i answered in j."""

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Thumbnail(ResultRecord):
    """An example's first image: `shown`, `broken` (with the reason) or `none`. `src`, a data URI, is
    kept in memory for the page and left out of JSON."""

    state: Literal["shown", "broken", "none"]
    reason: str = ""
    src: str | None = Field(default=None, exclude=True)


class Guess(ResultRecord):
    """One of the full paths of highest confidence."""

    path: tuple[str, ...]
    confidence: float


class Word(ResultRecord):
    """A word, and what the answer's log-odds lose without it."""

    word: str
    weight: float


class ExplanationView(ResultRecord):
    """What moved an answer: the words that count most, each view's share, both in log-odds, and a `heat` over
    the image."""

    words: tuple[Word, ...]
    views: dict[str, float]
    heat: Thumbnail = Field(default=Thumbnail(state="none"), exclude=True)


class EvaluatedProduct(ResultRecord):
    """One product with its label and the prediction. `confidence` is that of each level of `guesses[0]`;
    `explained`: why there (null: not asked)."""

    id: str
    title: str
    text: str
    image: Thumbnail
    label: tuple[str, ...]
    also: tuple[tuple[str, ...], ...]
    guesses: tuple[Guess, ...]
    confidence: tuple[float, ...]
    right: bool
    explained: ExplanationView | None = None


class Examples(ResultRecord):
    """`best`: right and surest. `worst`: wrong and surest. `confused`: the two best guesses nearly tie."""

    best: tuple[EvaluatedProduct, ...] = ()
    worst: tuple[EvaluatedProduct, ...] = ()
    confused: tuple[EvaluatedProduct, ...] = ()


class ChangedPrediction(ResultRecord):
    """A product whose answer a change flipped: its title before and after, and both answers."""

    id: str
    title: str
    changed: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class RobustnessScore(ResultRecord):
    """`products` changed in a way that should not move them: how often the path `flipped`, and the `top`
    category; how many right answers were `lost`, how many `won`, as shares of them."""

    kind: str
    products: int
    flipped: ConfidenceInterval
    top: float
    lost: float
    won: float
    examples: tuple[ChangedPrediction, ...]


class MetricChange(ResultRecord):
    """A number in an earlier evaluation and in this one. `key`: where it stands in both, dots between."""

    key: str
    name: str
    before: float | None
    now: float | None


class NodeChange(ResultRecord):
    """A branch's accuracy in an earlier evaluation and in this one."""

    path: tuple[str, ...]
    products: int
    before: float
    now: float


class ReportComparison(ResultRecord):
    """An earlier evaluation compared with this one. `same`: of the very same products, so that the change of
    accuracy has paired limits (`accuracy`, null otherwise). `worse`, `better`: branches of at least ten
    products that changed most."""

    model_id: str
    source: str
    split: str | None
    judged: int
    same: bool
    accuracy: ConfidenceInterval | None
    changes: tuple[MetricChange, ...]
    worse: tuple[NodeChange, ...]
    better: tuple[NodeChange, ...]


class Evaluation(ResultRecord):
    """Everything one evaluation measured. `stages`: of a cascade. `products`: a hash of which were judged, in
    order; `hits`: one bit a product, whether its full path was right (base64), so that a later evaluation can
    be compared with it. `training_products`: labelled products that the model was trained from."""

    format_version: int = FORMAT_VERSION
    model_id: str
    source: str = ""
    split: str | None = None
    rows: RowCounts
    training_products: int | None = None
    model: Summary
    baseline: BaselineResult | None = None
    views: tuple[ViewRemoved, ...] = ()
    stages: tuple[StageScore, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    coverage: tuple[CoveragePoint, ...] = ()
    decisions: Decisions | None = None
    guarantee: GuaranteeReport | None = None
    nodes: tuple[NodeScore, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    matrix: Matrix | None = None
    examples: Examples = Examples()
    products: str = ""
    hits: str = ""
    comparison: ReportComparison | None = None
    robustness: tuple[RobustnessScore, ...] = ()

    def to_json(self) -> str:
        """One indented JSON document; images stay out."""
        return self.model_dump_json(indent=2)

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` holds, as plain lists, strings and numbers."""
        return self.model_dump(mode="json")

    def write(self, folder: str | Path) -> Path:
        """Write `report.html` and `report.json` into a folder (made if need be); the page's path is returned.

        Raises:
            OSError: the folder cannot be written.
        """
        from aisle.evaluation.report import render

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(self.to_json(), encoding="utf-8")
        page = folder / "report.html"
        page.write_text(render(self), encoding="utf-8")
        return page

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """Read back what `to_json` wrote.

        Raises:
            AisleError: the text is something else, or comes from a newer version.
        """
        try:
            found = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise AisleError(f"not a saved evaluation: {where}: {first['msg']}") from error
        if found.format_version > FORMAT_VERSION:
            raise AisleError(
                f"this evaluation has format {found.format_version}, not {FORMAT_VERSION}: update aisle"
            )
        return found
