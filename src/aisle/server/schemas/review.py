"""`/v1/review/…`."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from aisle.server.schemas.common import (
    Answer,
    CategoryId,
    Fault,
    In,
    MissingImageOut,
    Out,
    PredictionOut,
)


class TakeIn(In):
    """How many items of the review queue, and for how long they are lent. Ask for few minutes, and renew."""

    count: int = Field(1, ge=1, le=100)
    minutes: int = Field(5, ge=1, le=60)


ItemIds = Annotated[list[Annotated[int, Field(ge=1, le=2**31 - 1)]], Field(max_length=100)]


class RenewIn(In):
    """Borrowed items to keep, and for how many minutes from now."""

    ids: ItemIds
    minutes: int = Field(5, ge=1, le=60)


class ReleaseIn(In):
    """Borrowed items to give back; null: all that you hold."""

    ids: ItemIds | None = None


class HeldOut(Out):
    """Items that you hold."""

    ids: list[int]


class ReleasedOut(Out):
    """How many items were given back."""

    released: int


class DecideIn(In):
    """A reviewer's choice; `how` and `token` as in feedback."""

    chosen: CategoryId
    how: Literal["chosen", "accepted"] | None = None
    token: Annotated[str, StringConstraints(max_length=200)] | None = None


class AcceptIn(In):
    """Items whose first suggestion is right. min_confidence: a floor above that of the server. confirm:
    accept them; else the answer only says which could be. tokens: of each item, as it was shown; one that
    has changed since is not accepted."""

    ids: list[int] = Field(min_length=1, max_length=100)
    min_confidence: float | None = Field(None, ge=0, le=1)
    confirm: bool = False
    tokens: dict[int, Annotated[str, StringConstraints(max_length=200)]] = Field(
        default_factory=dict, max_length=100
    )


class ReviewOut(Out):
    """An item of the review queue. `value`: what a look at it is expected to gain, by which the queue is
    ordered; `needed`: how many people shall look; `missing_images`: those given that could not be read;
    `lent_to_you`: nobody else is given it now; `token`: to be sent back with a decision. Times are UTC
    milliseconds since 1970."""

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
    lent_to_you: bool
    missing_images: list[MissingImageOut]
    token: str


class ReviewsOut(Out):
    """Items, the most valuable first. `batch_floor`: the confidence below which several cannot be accepted
    together."""

    items: list[ReviewOut]
    batch_floor: float


class AcceptedOut(Out):
    """Of each item, its confidence, and the feedback's number, or why it was not accepted."""

    id: int
    confidence: float | None = None
    feedback: int | None = None
    error: Fault | None = None


class BulkOut(Out):
    """One entry an item, in order. `confirmed`: whether they were accepted, or could be; `floor`: the least
    confidence for that."""

    items: list[AcceptedOut]
    confirmed: bool
    floor: float


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
    """What one person did; `batch`: how many of them several at a time."""

    person: str
    decided: int
    batch: int
    acceptance: float | None


class ProgressOut(Out):
    """How reviewing goes. `acceptance`: of choices by people who looked at each, those that are the first
    suggestion; `batch`: how many were accepted several at a time, which do not count there."""

    open: int
    done: int
    lent: int
    skipped_by_you: int
    batch: int
    acceptance: float | None
    people: list[PersonOut]
    agreement: AgreementOut
