"""`/v1/review/…`."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from aisle.server.schemas.common import (
    CategoryId,
    ClassifyItemOut,
    ErrorDetail,
    MissingImageOut,
    PredictionOut,
    RequestModel,
    ResponseModel,
)
from aisle.server.schemas.mcp import ExplanationOut
from aisle.server.schemas.search import HitOut
from aisle.server.store.reviews import QueueOrder

ItemIds = Annotated[list[Annotated[int, Field(ge=1, le=2**31 - 1)]], Field(max_length=100)]
Token = Annotated[str, StringConstraints(max_length=200)]


class NextItemsIn(RequestModel):
    """How many items to lease, and for how many minutes; ask for few minutes, and renew. Which: `query`, a
    part of the title; `branch`, the path of a category (`A > B`) at or below which the prediction is; the
    confidence of the predicted path; who queued them; flagged ones. `order` `gain`: highest expected gain
    first."""

    count: int = Field(1, ge=1, le=100)
    minutes: int = Field(5, ge=1, le=60)
    query: Annotated[str, StringConstraints(max_length=200)] | None = None
    branch: Annotated[str, StringConstraints(max_length=2000)] | None = None
    min_confidence: float | None = Field(None, ge=0, le=1)
    max_confidence: float | None = Field(None, ge=0, le=1)
    queued_by: Annotated[str, StringConstraints(max_length=200)] | None = None
    flagged: bool | None = None
    order: QueueOrder = "gain"


class RenewIn(RequestModel):
    """Leased items to keep, and for how many minutes from now."""

    ids: ItemIds
    minutes: int = Field(5, ge=1, le=60)


class ReleaseIn(RequestModel):
    """Leased items to release; null for all."""

    ids: ItemIds | None = None


class LeasedOut(ResponseModel):
    """Items leased to you."""

    ids: list[int]


class ReleasedOut(ResponseModel):
    """How many items were released."""

    released: int


class DecideIn(RequestModel):
    """A reviewer's choice; `how` and `token` as in feedback."""

    chosen: CategoryId
    how: Literal["chosen", "accepted"] | None = None
    token: Token | None = None


class AcceptIn(RequestModel):
    """Items whose first suggestion is accepted. min_confidence: a floor above the server's. confirm: false
    for a dry run. tokens: of each item as it was shown; one that has changed since is not accepted."""

    ids: list[int] = Field(min_length=1, max_length=100)
    min_confidence: float | None = Field(None, ge=0, le=1)
    confirm: bool = False
    tokens: dict[int, Token] = Field(default_factory=dict, max_length=100)


class ReviewOut(ResponseModel):
    """An item of the review queue. `expected_gain`: the chance that the prediction is wrong times
    `priority`, by which the queue is ordered; `needed`: how many people decide it; `leased_to_you`: nobody
    else gets it now; `label`: the category that it has, as it was sent; `token`: sent back with a decision.
    Times are UTC milliseconds since 1970."""

    id: int
    product: dict[str, Any]
    images: list[str]
    prediction: PredictionOut
    model: str
    priority: float
    expected_gain: float
    needed: int
    decided: int
    state: Literal["open", "done", "discarded"]
    leased_until: int
    leased_to_you: bool
    missing_images: list[MissingImageOut]
    queued_by: str
    queued_at: int
    label: str
    note: str
    flagged: bool
    token: str


class NoteIn(RequestModel):
    """A note on an item for other reviewers, and its flag; null leaves either as it is."""

    note: Annotated[str, StringConstraints(max_length=2000)] | None = None
    flagged: bool | None = None


class ReviewActionOut(ResponseModel):
    """What you did with an item; `chosen` is the path of a decision."""

    kind: Literal["decided", "skipped", "discarded"]
    item_id: int
    at: int
    title: str
    feedback_id: int | None
    chosen: list[str]
    undone: bool


class ReviewHistoryOut(ResponseModel):
    """What you did, the latest first."""

    actions: list[ReviewActionOut]


class EvidenceOut(ExplanationOut):
    """Why the model predicts the item's category. `regions`: the drop of the log-odds without each of 7 × 7
    regions of the first image; null without an image that the model reads. `similar`: labelled products of
    the index, the most similar first, where the server has one."""

    regions: list[list[float]] | None
    similar: list[HitOut]


class ReviewsOut(ResponseModel):
    """Items in order of the queue. `matching`: how many you may decide, with those leased now. Below
    `batch_min_confidence` they cannot be accepted together."""

    items: list[ReviewOut]
    matching: int
    batch_min_confidence: float


class BatchAcceptItem(ResponseModel):
    """An item's confidence, and the number of its feedback, or why it was not accepted."""

    id: int
    confidence: float | None = None
    feedback: int | None = None
    error: ErrorDetail | None = None


class BatchAcceptOut(ResponseModel):
    """One entry for each item, in order. `confirmed` is false for a dry run."""

    items: list[BatchAcceptItem]
    confirmed: bool
    min_confidence: float


class QueuedOut(ResponseModel):
    """`queued`: how many were queued; `auto_accepted`: how many the model decides and were not queued."""

    queued: int
    auto_accepted: int
    results: list[ClassifyItemOut]


class AgreementOut(ResponseModel):
    """How often two people agree on items that both decided; `scotts_pi` is corrected for chance."""

    pairs: int
    rate: float | None
    scotts_pi: float | None


class PairOut(ResponseModel):
    """Two people: how many items both decided one by one, and on how many they agreed."""

    people: list[str]
    items: int
    agreed: int


class DisagreementOut(ResponseModel):
    """Two categories that people chose for one item, and for how many items."""

    categories: list[str]
    items: int


class PersonOut(ResponseModel):
    """What one person decided; `batch`: how many of these several at a time."""

    person: str
    decided: int
    batch: int
    acceptance: float | None


class ProgressOut(ResponseModel):
    """Progress of the queue. `acceptance`: the share of first suggestions among choices made one by one;
    `batch`: items accepted several at a time, which do not count there."""

    open: int
    done: int
    leased: int
    skipped_by_you: int
    batch: int
    acceptance: float | None
    people: list[PersonOut]
    agreement: AgreementOut
    by_pair: list[PairOut]
    disagreements: list[DisagreementOut]
