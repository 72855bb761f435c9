"""`/v1/feedback`."""

from typing import Literal

from pydantic import Field

from aisle.server.schemas.common import (
    CategoryId,
    Key,
    MissingImageOut,
    ProductIn,
    RequestModel,
    ResponseModel,
    examples,
)

How = Literal["chosen", "accepted", "batch", "default"]


class SuggestedIn(RequestModel):
    """One of the suggested categories, best first."""

    id: CategoryId
    confidence: float | None = Field(None, ge=0, le=1)


class FeedbackIn(RequestModel):
    """A person's choice of a product's category.

    how: `chosen` (the person picked it), `accepted` (confirmed the first suggestion) or `default` (the
    suggestion was left as it was, nobody looked). By default `accepted` for the first suggestion, else
    `chosen`.
    token: of the suggestions, from `/v1/suggest` or `/v1/classify`. If it belongs to another product,
    nothing is stored and the response is 409 `stale_suggestion`.
    person: whose choice it is, if another system sends those of many people.
    A request repeated with the same `Idempotency-Key` header is counted once.
    """

    model_config = examples(
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
    )

    product: ProductIn
    chosen: CategoryId = Field(description="The category's id, or its path as `A > B`.")
    suggested: list[SuggestedIn] = Field(default_factory=list, max_length=20)
    how: Literal["chosen", "accepted", "default"] | None = None
    token: Key | None = None
    model: Key | None = None
    model_id: Key | None = None
    person: Key | None = None


class FeedbackOut(ResponseModel):
    """Stored feedback. `repeated`: it was stored before; `missing_images`: those that could not be read and
    are not stored."""

    id: int
    how: How
    chosen: list[str]
    repeated: bool
    missing_images: list[MissingImageOut] = Field(default_factory=list)


class UndoneOut(ResponseModel):
    """Feedback that no longer counts."""

    id: int
    undone: bool
