"""`/v1/classify` and `/v1/suggest`."""

from pydantic import ConfigDict, Field

from aisle.server.schemas.common import PREDICTION, Answer, In, Key, Out, ProductIn, Text, Title


class ClassifyIn(In):
    """One to 1,000 products."""

    products: list[ProductIn] = Field(min_length=1, max_length=1000)


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
    """A title as far as it is typed; the last word may be unfinished, unless the title is `finished`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "red runn", "description": "", "count": 5}]}
    )

    title: Title
    description: Text | None = None
    fields: dict[Key, Text | None] = Field(default_factory=dict, max_length=200)
    count: int = Field(5, ge=1, le=20)
    finished: bool = False


class Suggestion(Out):
    """A full path, the confidence in it, and why."""

    id: str
    path: list[str]
    confidence: float
    reason: str


class SuggestOut(Out):
    """The full paths of highest confidence, best first. `completed`: the word that the last one of the title
    was taken to become; null where the title was read as it stands, and the confidences are those of
    `/v1/classify`. `token`: to be sent back with what a person chooses."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "shop",
                    "model_id": "11c58615d0cd",
                    "completed": "running",
                    "token": "0b7b1f0e0a3c4d5e8f9a6b7c2d1e3f40",
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
    completed: str | None
    token: str | None
    suggestions: list[Suggestion]
