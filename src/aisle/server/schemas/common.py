"""What every group of routes reads and answers with."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Title = Annotated[str, StringConstraints(max_length=10_000)]

Text = Annotated[str, StringConstraints(max_length=200_000)]

# What no database keeps; a name is never changed to one that fits.
NO_NUL = r"^[^\x00]*$"

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
    "alternatives": [
        {"path": "Clothing & Shoes > Shoes > Trainers", "confidence": 0.961},
        {"path": "Clothing & Shoes > Shoes > Slippers", "confidence": 0.027},
    ],
    "threshold": 0.95,
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


def _picture(sent: Any) -> Any:
    if not isinstance(sent, str):
        return sent
    return {"url" if sent[:8].lower().startswith(("http://", "https://")) else "base64": sent}


# A bare string is an address or base64, whichever it looks like.
Picture = Annotated[PictureIn, BeforeValidator(_picture, json_schema_input_type=PictureIn | str)]


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
    images: list[Picture] = Field(default_factory=list, max_length=100)
    worth: float | None = Field(
        None,
        ge=0,
        le=1e12,
        description="What a right answer is worth (a price, views): orders reviews.",
    )


class Out(BaseModel):
    """Answered to a caller."""

    model_config = ConfigDict(frozen=True)


class AlternativeOut(Out):
    """One of the full paths of highest confidence."""

    path: str
    confidence: float


class PredictionOut(Out):
    """Where a product belongs. `best`: the full path of highest confidence; `path`: as deep as is sure;
    `confidence`: of each level of `best`, calibrated; `decision`: accept (`path` is a full path), partial
    (`path` is a branch) or review (nothing is sure); `threshold`: the confidence from which `best` is
    accepted, null where nothing is promised for it. `alternatives` begin with `best`."""

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
    threshold: float | None
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


class MissingImageOut(Out):
    """An image that was given and could not be read: its number among those given, from 1, its address, if
    it was given by one, and why."""

    image: int
    url: str | None = None
    reason: str


class Answer(Out):
    """What became of one product: a `prediction`, or an `error`. `token`: to be sent back with what a person
    chooses. `images_read`: how many of its images the model read; `missing_images`: those that could not be
    read. `models`: where several were asked for, each one's prediction. `review_id`: its place in the
    review queue, where it was put there."""

    id: str
    token: str | None = None
    prediction: PredictionOut | None = None
    error: Fault | None = None
    images_read: int = 0
    missing_images: list[MissingImageOut] = Field(default_factory=list)
    models: dict[str, PredictionOut] | None = None
    review_id: int | None = None


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI of a route's failures."""
    said = {
        400: "The request cannot be read",
        401: "No key, or an unknown one",
        403: "The key's role does not allow this",
        404: "There is no such thing",
        408: "It took too long to arrive",
        409: "It does not fit what is there",
        413: "Too large",
        415: "Neither JSON nor multipart",
        422: "Not what the schema says",
        429: "Too many requests; see Retry-After",
        501: "Not built in here",
        503: "Too much is waiting, or the store is not there; see Retry-After",
    }
    return {status: {"model": Failure, "description": said[status]} for status in statuses}


USUAL = failures(400, 401, 403, 408, 413, 422, 429, 503)
