"""`/v1/review/…`."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from aisle.server.schemas.common import Answer, Fault, In, Out, PredictionOut


class TakeIn(In):
    """How many items of the review queue, and for how long they are lent."""

    count: int = Field(1, ge=1, le=100)
    minutes: int = Field(10, ge=1, le=240)


class DecideIn(In):
    """A reviewer's choice; `how` and `token` as in feedback."""

    chosen: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    how: Literal["chosen", "accepted"] | None = None
    token: Annotated[str, StringConstraints(max_length=200)] | None = None


class AcceptIn(In):
    """Items whose first suggestion is right. `tokens`: of each item, as it was shown; one that has changed
    since is not accepted."""

    ids: list[int] = Field(min_length=1, max_length=100)
    tokens: dict[int, Annotated[str, StringConstraints(max_length=200)]] = Field(
        default_factory=dict, max_length=100
    )


class ReviewOut(Out):
    """An item of the review queue. `value`: what a look at it is expected to gain, by which the queue is
    ordered; `needed`: how many people shall look; `token`: to be sent back with a decision. Times are UTC
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
    token: str


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
