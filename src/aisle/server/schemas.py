"""What the API reads and answers; the examples are those of its documentation."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Title = Annotated[str, StringConstraints(max_length=10_000)]
Text = Annotated[str, StringConstraints(max_length=200_000)]
Key = Annotated[str, StringConstraints(max_length=200)]

PREDICTION = {
    "id": "A-17",
    "best": "Clothing & Shoes > Shoes > Trainers",
    "best_id": "Clothing & Shoes > Shoes > Trainers",
    "path": "Clothing & Shoes > Shoes > Trainers",
    "path_id": "Clothing & Shoes > Shoes > Trainers",
    "confidence": [0.998, 0.998, 0.961],
    "decision": "accept",
    "reason": "sure to the end: 0.961",
    "alternatives": [
        {"path": "Clothing & Shoes > Shoes > Trainers", "probability": 0.961},
        {"path": "Clothing & Shoes > Shoes > Slippers", "probability": 0.027},
    ],
    "problems": [],
    "model_id": "11c58615d0cd",
}


class In(BaseModel):
    """Read from a caller; what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PictureIn(In):
    """One picture: exactly one of `base64` (with or without `data:image/…;base64,` before it), `url`
    (where the server fetches addresses) and `file` (the name of a part of a multipart request)."""

    base64: str | None = None
    url: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    file: Key | None = None


class ProductIn(In):
    """One product; everything may be left out, and the answer says what it was made without."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "A-17",
                    "title": "Red running shoes, size 42",
                    "description": "Light shoes for the road, with a soft sole.",
                    "fields": {"brand": "Fleet"},
                }
            ]
        }
    )

    id: Key | None = None
    title: Title | None = None
    description: Text | None = None
    fields: dict[Key, Text | None] = Field(default_factory=dict, max_length=200)
    images: list[PictureIn] = Field(default_factory=list, max_length=100)
    worth: float | None = Field(
        None,
        ge=0,
        le=1e12,
        description="What a right answer is worth (a price, views): orders reviews.",
    )


class ClassifyIn(In):
    """One to 1,000 products."""

    products: list[ProductIn] = Field(min_length=1, max_length=1000)


class Out(BaseModel):
    """Answered to a caller."""

    model_config = ConfigDict(frozen=True)


class AlternativeOut(Out):
    """One of the most probable full paths."""

    path: str
    probability: float


class PredictionOut(Out):
    """Where a product belongs. `best`: the most probable full path; `path`: as deep as is sure;
    `confidence`: of each level of `best`; `decision`: accept (`path` is a full path), partial (`path` is
    a branch) or review (nothing is sure)."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [PREDICTION]})

    id: str
    best: str
    best_id: str
    path: str
    path_id: str
    confidence: list[float]
    decision: Literal["accept", "partial", "review"]
    reason: str
    alternatives: list[AlternativeOut]
    problems: list[str]
    model_id: str


class Fault(Out):
    """What is wrong: `code` for programs, `message` for people."""

    code: str
    message: str
    request_id: str | None = None


class Failure(Out):
    """Every answer that is not a success."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {"error": {"code": "busy", "message": "too much is waiting already; ask again in 2 s"}}
            ]
        },
    )

    error: Fault


class Answer(Out):
    """What became of one product: a `prediction`, or an `error`. `models`: where several were asked for,
    each one's prediction. `review_id`: its place in the review queue, where it was put there."""

    id: str
    prediction: PredictionOut | None = None
    error: Fault | None = None
    models: dict[str, PredictionOut] | None = None
    review_id: int | None = None


class ClassifyOut(Out):
    """One answer a product, in order."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "shop",
                    "answers": [
                        {"id": "A-17", "prediction": PREDICTION, "error": None},
                        {
                            "id": "A-18",
                            "prediction": None,
                            "error": {"code": "bad_picture", "message": "picture 1: this is not base64"},
                        },
                    ],
                }
            ]
        },
    )

    model: str
    answers: list[Answer]


class SuggestIn(In):
    """A title as far as it is typed; the last word may be unfinished."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "red runn", "description": "", "count": 5}]}
    )

    title: Title
    description: Text | None = None
    fields: dict[Key, Text | None] = Field(default_factory=dict, max_length=200)
    count: int = Field(5, ge=1, le=20)


class Suggestion(Out):
    """A full path, how probable it is, and why."""

    id: str
    path: list[str]
    confidence: float
    reason: str


class SuggestOut(Out):
    """The most probable places, best first."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "shop",
                    "model_id": "11c58615d0cd",
                    "suggestions": [
                        {
                            "id": "Clothing & Shoes > Shoes > Trainers",
                            "path": ["Clothing & Shoes", "Shoes", "Trainers"],
                            "confidence": 0.91,
                            "reason": "“runn…” (running) says so",
                        }
                    ],
                }
            ]
        },
    )

    model: str
    model_id: str
    suggestions: list[Suggestion]


class NodeOut(Out):
    """A category. `products`: training products at or below it; `accuracy`: of the test products labelled
    there, the share that was placed there, where the run was evaluated."""

    id: str
    path: list[str]
    parent: str | None
    assignable: bool
    children: int
    products: int
    judged: int | None = None
    accuracy: float | None = None


class TaxonomyOut(Out):
    """Categories in depth-first order."""

    model: str
    model_id: str
    fingerprint: str
    total: int
    nodes: list[NodeOut]


class SuggestedIn(In):
    """One of the categories that were offered, best first."""

    id: Annotated[str, StringConstraints(max_length=2_000)]
    confidence: float | None = Field(None, ge=0, le=1)


How = Literal["chosen", "accepted", "default"]


class FeedbackIn(In):
    """Where a person says that a product belongs.

    how: `chosen` (the person picked it), `accepted` (confirmed the first suggestion) or `default` (the
    suggestion stood, nobody looked). Left out: `accepted` where it is the first suggestion, else `chosen`.
    person: whose choice it is, where a shop's own system speaks for many people. A request repeated with
    the same `Idempotency-Key` header is counted once.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "product": {"id": "A-17", "title": "Red running shoes, size 42"},
                    "suggested": [
                        {"id": "Clothing & Shoes > Shoes > Slippers", "confidence": 0.58},
                        {"id": "Clothing & Shoes > Shoes > Trainers", "confidence": 0.31},
                    ],
                    "chosen": "Clothing & Shoes > Shoes > Trainers",
                    "how": "chosen",
                    "model": "shop",
                }
            ]
        }
    )

    product: ProductIn
    chosen: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] = Field(
        description="The category's id, or its path as `A > B`."
    )
    suggested: list[SuggestedIn] = Field(default_factory=list, max_length=20)
    how: How | None = None
    model: Key | None = None
    model_id: Key | None = None
    person: Key | None = None


class FeedbackOut(Out):
    """It is on disk. `repeated`: it was before, too."""

    id: int
    how: How
    chosen: list[str]
    repeated: bool


class TakeIn(In):
    """How many items of the review queue, and for how long they are lent."""

    count: int = Field(1, ge=1, le=100)
    minutes: int = Field(10, ge=1, le=240)


class DecideIn(In):
    """A reviewer's choice; `how` as in feedback."""

    chosen: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    how: Literal["chosen", "accepted"] | None = None


class AcceptIn(In):
    """Items whose first suggestion is right."""

    ids: list[int] = Field(min_length=1, max_length=100)


class ReviewOut(Out):
    """An item of the review queue. `value`: what a look at it is expected to gain, by which the queue is
    ordered; `needed`: how many people shall look. Times are UTC milliseconds since 1970."""

    id: int
    product: dict[str, Any]
    pictures: list[str]
    prediction: PredictionOut
    model: str
    worth: float
    value: float
    needed: int
    decided: int
    state: Literal["open", "done"]
    locked_until: int


class ReviewsOut(Out):
    """Items, the most valuable first."""

    items: list[ReviewOut]


class AcceptedOut(Out):
    """Of each item, the feedback's number, or why it was not accepted."""

    id: int
    feedback: int | None = None
    error: Fault | None = None


class BulkOut(Out):
    """One entry an item, in order."""

    items: list[AcceptedOut]


class QueuedOut(Out):
    """`queued`: how many were put into the queue; `sure`: how many the model is sure of and were not."""

    queued: int
    sure: int
    answers: list[Answer]


class AgreementOut(Out):
    """How well two people agree on items that both looked at; `beyond_chance` is Scott's pi."""

    pairs: int
    rate: float | None
    beyond_chance: float | None


class PersonOut(Out):
    """What one person did."""

    person: str
    decided: int
    acceptance: float | None


class ProgressOut(Out):
    """How reviewing goes. `acceptance`: of choices by people who looked, those that are the first
    suggestion."""

    open: int
    done: int
    lent: int
    skipped_by_you: int
    acceptance: float | None
    people: list[PersonOut]
    agreement: AgreementOut


class DayOut(Out):
    """One UTC day (its start in milliseconds since 1970)."""

    day: int
    chosen: int
    accepted: int
    default: int
    acceptance: float | None


class DaysOut(Out):
    """Days with choices, the oldest first."""

    days: list[DayOut]


class MeOut(Out):
    """Whose key this is; `open`: the server asks nobody for one."""

    person: str
    role: Literal["seller", "reviewer", "admin"]
    open: bool


class LoadIn(In):
    """A model to load: the name it shall have, and its folder below the library's."""

    name: Annotated[str, StringConstraints(pattern=r"^[^,/\s][^,/]{0,99}$")]
    folder: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class ShadowIn(In):
    """The model that shall answer along, unseen; null: none."""

    model: Key | None


class ModelOut(Out):
    """A loaded model. `metrics`: what was measured of it on its run's test rows; `promises`: whether it
    decides anything by itself."""

    name: str
    model_id: str
    live: bool
    shadow: bool
    recipe: str | None
    training_products: int | None
    categories: int
    views: list[str]
    metrics: dict[str, float]
    promises: bool


class ModelsOut(Out):
    """`before`: those that were live, the latest last."""

    live: str
    shadow: str | None
    before: list[str]
    models: list[ModelOut]


class MeasuredOut(Out):
    """Of the `products` of the fixed set, how many the live model and the candidate got right, and 95 %
    limits of the difference in accuracy."""

    products: int
    live: int
    candidate: int
    only_live: int
    only_candidate: int
    difference: float
    low: float
    high: float
    not_worse: bool


class PromotedOut(ModelsOut):
    """It is live now."""

    measured: MeasuredOut


class ChangeOut(Out):
    """A model that went live, was refused, or was gone back to; UTC milliseconds since 1970."""

    id: int
    at: int
    person: str
    what: Literal["promoted", "refused", "rolled back"]
    model: str
    model_id: str
    before: str
    measured: MeasuredOut | None


class HistoryOut(Out):
    """The latest first."""

    changes: list[ChangeOut]


class ShadowOut(Out):
    """How often shadow and live model gave the same best path, and their decisions (`accept -> review`)."""

    model: str
    live: str
    products: int
    agreement: float | None
    decisions: dict[str, int]


class SessionIn(In):
    """A key, to be kept in a cookie that scripts cannot read."""

    key: Key


class ProductOut(Out):
    """What the store knows of a product: its latest text and pictures, what was said of it, its reviews."""

    id: str
    fields: dict[str, str]
    pictures: list[str]
    feedback: list[dict[str, Any]]
    reviews: list[ReviewOut]


class ProductRow(Out):
    """A product that people spoke about: the latest word on it."""

    id: str
    title: str
    pictures: list[str]
    chosen: list[str]
    chosen_id: str
    how: How
    at: int


class ProductsOut(Out):
    """The latest first."""

    products: list[ProductRow]


class ReadyOut(Out):
    """Whether requests can be answered, and what would stand in the way."""

    ready: bool
    checks: dict[str, bool]


class SearchIn(In):
    """Words to search products by."""

    query: Title = ""
    images: list[PictureIn] = Field(default_factory=list, max_length=1)
    count: int = Field(20, ge=1, le=100)


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI of a route's failures."""
    said = {
        400: "The request cannot be read",
        401: "No key, or an unknown one",
        403: "The key's role does not allow this",
        404: "There is no such thing",
        409: "It does not fit what is there",
        413: "Too large",
        415: "Neither JSON nor multipart",
        422: "Not what the schema says",
        429: "Too many requests; see Retry-After",
        501: "Not built in here",
        503: "Too much is waiting, or the store is not there; see Retry-After",
    }
    return {status: {"model": Failure, "description": said[status]} for status in statuses}


USUAL = failures(400, 401, 403, 413, 422, 429)
