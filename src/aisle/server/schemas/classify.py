"""`/v1/classify` and `/v1/suggest`."""

from pydantic import Field

from aisle.server.schemas.common import (
    PREDICTION,
    ClassifyItemOut,
    Key,
    RequestModel,
    ResponseModel,
    Text,
    Title,
    examples,
)


class ClassifyOut(ResponseModel):
    """One result for each product, in order."""

    model_config = examples(
        {
            "model": "shop",
            "results": [
                {"id": "A-17", "prediction": PREDICTION, "error": None},
                {
                    "id": "A-18",
                    "prediction": None,
                    "error": {"code": "bad_image", "message": "image 1: this is not base64"},
                },
            ],
        }
    )

    model: str
    results: list[ClassifyItemOut]


class SuggestIn(RequestModel):
    """A title as far as it is typed; its last word may be unfinished, unless it is `finished`."""

    model_config = examples({"title": "red runn", "description": "", "count": 5})

    title: Title
    description: Text | None = None
    fields: dict[Key, Text | None] = Field(default_factory=dict, max_length=200)
    count: int = Field(5, ge=1, le=20)
    finished: bool = False


class SuggestionOut(ResponseModel):
    """A category, its confidence, and why."""

    id: str
    path: list[str]
    confidence: float
    reason: str


class SuggestOut(ResponseModel):
    """The categories of highest confidence, best first. `completed`: the most probable completion of the last
    word; null if the title was read as it is, with the confidences of `/v1/classify`. `unsure`: why no
    category is likely, so that none should be accepted without a look; else null. `token`: sent back with a
    person's choice."""

    model_config = examples(
        {
            "model": "shop",
            "model_id": "11c58615d0cd",
            "completed": "running",
            "unsure": None,
            "token": "0b7b1f0e0a3c4d5e8f9a6b7c2d1e3f40",
            "suggestions": [
                {
                    "id": "Clothing & Shoes > Shoes > Trainers",
                    "path": ["Clothing & Shoes", "Shoes", "Trainers"],
                    "confidence": 0.91,
                    "reason": "because of “running” (if that is the word)",
                }
            ],
        }
    )

    model: str
    model_id: str
    completed: str | None
    unsure: str | None = None
    token: str | None
    suggestions: list[SuggestionOut]
