"""`/v1/models` and `/v1/shadow`."""

from typing import Annotated, Literal

from pydantic import StringConstraints, computed_field

from aisle.server.schemas.common import NO_NUL, Key, RequestModel, ResponseModel


class LoadIn(RequestModel):
    """A model to load: its name, and its folder below the library."""

    name: Annotated[str, StringConstraints(pattern=r"^[^,/\s\x00-\x1f\x7f][^,/\x00-\x1f\x7f]{0,99}$")]
    folder: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=NO_NUL)]


class ShadowIn(RequestModel):
    """The shadow model; null for none."""

    model: Key | None


class OperatingPointOut(ResponseModel):
    """What happens to products at one guaranteed `precision`: the shares that get a `full` path, a `branch`
    that ends at level 1, 2, …, either (`decided`), or are left for `review`; and the same in words."""

    precision: float
    full: float
    branch: list[float]
    decided: float
    review: float
    text: str


class LabelGainOut(ResponseModel):
    """With `labels` more labelled rows than the `rows` so far, the share decided automatically at `precision`
    would be `expected`, and not `decided` as now; null if that cannot be estimated. `tried`: each number of
    further labels that was tried, and the share expected with it."""

    precision: float
    rows: int
    labels: int
    decided: float
    expected: float
    tried: list[tuple[int, float]]


class OperatingCurveOut(ResponseModel):
    """What a model decides automatically at each precision, from the highest to the lowest; no points if it
    is not calibrated.

    `precision` decides here (`aisle serve --precision` chooses another point). The guarantee of one point
    holds with probability 1 - `alpha` or more, those of all points at once with `together` or more;
    `statement` says so in words. It was tested on `rows` labelled rows (`method`: on out-of-fold predictions,
    or on rows kept aside). Where nothing is decided, `advice` says what can be guaranteed, and `instead` is
    the precision to ask for. `labels` and `label_gain` say what more labelled rows would change."""

    precision: float
    alpha: float
    together: float
    method: str
    rows: int
    points: list[OperatingPointOut]
    statement: str
    advice: str
    instead: float | None
    labels: str
    label_gain: LabelGainOut | None


class ModelOut(ResponseModel):
    """A loaded model. `training_products`: labelled products it was trained on; `metrics`: on its run's test
    rows; `guarantee`: whether it decides any product without a person; `operating_curve`: how many, at which
    precision."""

    name: str
    model_id: str
    live: bool
    shadow: bool
    recipe: str | None
    training_products: int | None
    categories: int
    views: list[str]
    metrics: dict[str, float]
    guarantee: bool
    operating_curve: OperatingCurveOut


class ModelsOut(ResponseModel):
    """All models; `previous`: those that were live, the latest last."""

    live: str
    shadow: str | None
    previous: list[str]
    models: list[ModelOut]


class ComparisonOut(ResponseModel):
    """Correct predictions on the golden set, and the difference in accuracy with 95 % limits. A prediction is
    correct if its path is the label, or lies inside it where the label is a branch."""

    products: int
    live: int
    candidate: int
    only_live: int
    only_candidate: int
    difference: float
    low: float
    high: float

    @computed_field
    @property
    def not_worse(self) -> bool:
        """Whether the candidate gets at least as many right."""
        return self.candidate >= self.live


class PromotedOut(ModelsOut):
    """The model is live."""

    comparison: ComparisonOut


class PromotionOut(ResponseModel):
    """An attempt to change the live model; `at` in UTC milliseconds since 1970."""

    id: int
    at: int
    person: str
    action: Literal["promoted", "refused", "rolled back"]
    model: str
    model_id: str
    previous: str
    comparison: ComparisonOut | None


class HistoryOut(ResponseModel):
    """The latest first."""

    changes: list[PromotionOut]


class ShadowOut(ResponseModel):
    """How often shadow and live model predict the same path, and their decisions (`accept -> review`)."""

    model: str
    live: str
    products: int
    agreement: float | None
    decisions: dict[str, int]


class ChangedProductOut(ResponseModel):
    """A product that gets another category: the best paths of both models, their confidences and decisions,
    and the `label` of the golden set or the category that people chose; null if there is none."""

    id: str
    title: str
    images: list[str]
    live: str
    live_confidence: float
    live_decision: str
    candidate: str
    candidate_confidence: float
    candidate_decision: str
    label: str | None


class ChangedBranchOut(ResponseModel):
    """A level-1 category of the live model's predictions: its products, and those that change."""

    branch: str
    products: int
    changed: int


class ChangesOut(ResponseModel):
    """What would change if a model went live, on the golden set and the latest products with feedback.

    `new_categories` and `missing_categories`: paths of one model's taxonomy that the other has not.
    `automatic` and `live_automatic`: products decided without a person. `sample`: at most 200 of the changed
    products, the most confident first."""

    model: str
    live: str
    products: int
    changed: int
    automatic: int
    live_automatic: int
    new_categories: list[str]
    missing_categories: list[str]
    branches: list[ChangedBranchOut]
    sample: list[ChangedProductOut]
