"""Types that several groups of routes share."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

NO_NUL = r"^[^\x00]*$"  # databases cannot store NUL, and ids are never altered
Title = Annotated[str, StringConstraints(max_length=10_000)]
Text = Annotated[str, StringConstraints(max_length=200_000)]
Key = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
CategoryId = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=NO_NUL)]

PREDICTION = {
    "id": "A-17",
    "best": "Clothing & Shoes > Shoes > Trainers",
    "best_id": "Clothing & Shoes > Shoes > Trainers",
    "path": "Clothing & Shoes > Shoes > Trainers",
    "path_id": "Clothing & Shoes > Shoes > Trainers",
    "confidence": [0.998, 0.998, 0.961],
    "decision": "accept",
    "reason": "the confidence is 0.961, 0.950 is needed",
    "rule": "",
    "alternatives": [
        {"path": "Clothing & Shoes > Shoes > Trainers", "confidence": 0.961},
        {"path": "Clothing & Shoes > Shoes > Slippers", "confidence": 0.027},
    ],
    "threshold": 0.95,
    "problems": [],
    "model_id": "11c58615d0cd",
}


def examples(*values: dict[str, Any]) -> ConfigDict:
    """A model's examples in the documentation."""
    return ConfigDict(json_schema_extra={"examples": list(values)})


class RequestModel(BaseModel):
    """A request; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageIn(RequestModel):
    """One image: exactly one of `base64` (with or without `data:image/…;base64,` before it), `url` (if the
    server fetches URLs) and `file` (a part of a multipart request)."""

    base64: str | None = None
    url: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    file: Key | None = None


def _image(sent: Any) -> Any:
    if not isinstance(sent, str):
        return sent
    return {"url" if sent[:8].lower().startswith(("http://", "https://")) else "base64": sent}


# A bare string is a URL or base64.
Image = Annotated[ImageIn, BeforeValidator(_image, json_schema_input_type=ImageIn | str)]


class ProductIn(RequestModel):
    """One product; everything is optional."""

    model_config = examples(
        {
            "id": "A-17",
            "title": "Red running shoes, size 42",
            "description": "Light shoes for the road, with a soft sole.",
            "fields": {"brand": "Fleet"},
        }
    )

    id: Key | None = None
    title: Title | None = None
    description: Text | None = None
    fields: dict[Key, Text | None] = Field(default_factory=dict, max_length=200)
    images: list[Image] = Field(default_factory=list, max_length=100)
    priority: float | None = Field(
        None, ge=0, le=1e12, description="Weight in the review queue, such as a price or views; 1 by default."
    )
    label: Title | None = Field(
        None, description="The category that it has now, a path or id; shown to reviewers, who may keep it."
    )
    note: Annotated[str, StringConstraints(max_length=2000)] | None = Field(
        None, description="A note for reviewers, if it is queued."
    )


class ResponseModel(BaseModel):
    """A response."""

    model_config = ConfigDict(frozen=True)


class AlternativeOut(ResponseModel):
    """One of the categories of highest confidence."""

    path: str
    confidence: float


class PredictionOut(ResponseModel):
    """A prediction. `best`: the path of highest confidence; `path`: as much of it as the model decides;
    `confidence`: calibrated, of each level of `best`; `decision`: accept (`path` is complete), partial
    (`path` is a branch) or review (nothing is decided); `threshold`: the confidence from which `best` is
    accepted, null if there is no guarantee for it; `rule`: the ids of the rules that acted, separated by
    `, `, empty without any. `alternatives` begin with `best`."""

    model_config = examples(PREDICTION)

    id: str
    best: str
    best_id: str
    path: str
    path_id: str
    confidence: list[float]
    decision: Literal["accept", "partial", "review"]
    reason: str
    rule: str = ""
    alternatives: list[AlternativeOut]
    threshold: float | None
    problems: list[str]
    model_id: str


class ErrorDetail(ResponseModel):
    """An error: `code` for programs, `message` for people."""

    code: str
    message: str
    request_id: str | None = None


class ErrorResponse(ResponseModel):
    """Any response that is not a success."""

    model_config = examples(
        {"error": {"code": "busy", "message": "too much is waiting already; ask again in 2 s"}}
    )

    error: ErrorDetail


class MissingImageOut(ResponseModel):
    """An image that could not be read: its number, from 1, its URL, if it had one, and why."""

    image: int
    url: str | None = None
    reason: str


class ViewPathOut(ResponseModel):
    """How deep one view alone knows the category, and its confidence there."""

    path: str
    confidence: float


class ConflictOut(ResponseModel):
    """What the texts alone and the images alone say, where both cannot be right."""

    text: ViewPathOut
    image: ViewPathOut


class ClassifyItemOut(ResponseModel):
    """The `prediction` or the `error` of one product. `token`: sent back with a person's choice; `unsure`:
    why no category is likely, else null; `conflict`: with `?conflicts=true`, what texts and images say
    where they contradict each other;
    `images_read`: how many of its images the model read; `models`: each model's prediction, if several
    were asked for; `review_id`: its number in the review queue, if it was queued."""

    id: str
    token: str | None = None
    prediction: PredictionOut | None = None
    error: ErrorDetail | None = None
    unsure: str | None = None
    conflict: ConflictOut | None = None
    images_read: int = 0
    missing_images: list[MissingImageOut] = Field(default_factory=list)
    models: dict[str, PredictionOut] | None = None
    review_id: int | None = None


_ERRORS = {
    400: "The request cannot be read",
    401: "No key, or an unknown one",
    403: "The key's role does not allow this",
    404: "Not found",
    408: "It took too long to arrive",
    409: "It conflicts with the present state",
    413: "Too large",
    415: "Neither JSON nor multipart",
    422: "Not as the schema requires",
    429: "Too many requests; see Retry-After",
    503: "Too much is waiting, or the store is not available; see Retry-After",
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of a route's errors, including those that every route may have."""
    codes = sorted({400, 401, 403, 408, 413, 422, 429, 503, *statuses})
    return {status: {"model": ErrorResponse, "description": _ERRORS[status]} for status in codes}
