"""`/v1/feedback`."""

from typing import Literal

from pydantic import ConfigDict, Field

from aisle.server.schemas.common import CategoryId, In, Key, MissingImageOut, Out, ProductIn


class SuggestedIn(In):
    """One of the categories that were offered, best first."""

    id: CategoryId
    confidence: float | None = Field(None, ge=0, le=1)


How = Literal["chosen", "accepted", "batch", "default"]


class FeedbackIn(In):
    """Where a person says that a product belongs.

    how: `chosen` (the person picked it), `accepted` (confirmed the first suggestion) or `default` (the
    suggestion stood, nobody looked). Left out: `accepted` where it is the first suggestion, else `chosen`.
    token: that of the suggestions, as `/v1/suggest` or `/v1/classify` gave it with them. Where it belongs to
    another product than this one, nothing is kept and the answer is 409 `stale_suggestion`.
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
    chosen: CategoryId = Field(description="The category's id, or its path as `A > B`.")
    suggested: list[SuggestedIn] = Field(default_factory=list, max_length=20)
    how: Literal["chosen", "accepted", "default"] | None = None
    token: Key | None = None
    model: Key | None = None
    model_id: Key | None = None
    person: Key | None = None


class FeedbackOut(Out):
    """It is on disk. `repeated`: it was before, too. `missing_images`: those that could not be read and are
    not kept."""

    id: int
    how: How
    chosen: list[str]
    repeated: bool
    missing_images: list[MissingImageOut] = Field(default_factory=list)
