"""`/v1/batches`: uploaded files of products."""

from typing import Literal

from pydantic import Field

from aisle.server.schemas.common import AlternativeOut, CategoryId, Key, RequestModel, ResponseModel, examples

State = Literal["ready", "queued", "running", "done", "cancelled", "failed"]
Decision = Literal["", "accept", "partial", "review"]
Verdict = Literal["", "open", "accepted", "chosen", "review"]


class BatchColumnOut(ResponseModel):
    """A column of a file: the role that it has, filled cells, distinct values (null: very many), and the most
    frequent value."""

    name: str
    role: str
    filled: int
    distinct: int | None
    example: str


class BatchProblemOut(ResponseModel):
    """What is wrong with a row (null: with the file), as `aisle check` tells it."""

    row: int | None
    column: str | None
    message: str
    value: str
    fatal: bool


class BatchOut(ResponseModel):
    """An uploaded file. `state`: ready (read, not classified), queued, running, done, cancelled or failed;
    `task`: what is queued, runs or ran: classify or review (puts products into the review queue); `done`: its
    products so far; `rows`: products of the file; `classified`: those with a prediction; `rest`: those that
    nobody accepted; `dialect`: the shop platform that wrote the file; `can_fill`: whether it can be
    downloaded with its categories filled in."""

    id: str
    at: int
    name: str
    bytes: int
    rows: int
    model: str
    model_id: str
    state: State
    task: Literal["classify", "review"]
    done: int
    classified: int
    rest: int
    error: str | None
    dialect: str
    source_rows: int
    can_fill: bool
    columns: list[BatchColumnOut]
    problem_count: int
    problems: list[BatchProblemOut]


class BatchListOut(ResponseModel):
    """Your files, the latest first."""

    batches: list[BatchOut]


class BatchProductOut(ResponseModel):
    """A product of a file. `row`: its position, from 0; `best` and `path`: as in a prediction; `confidence`:
    of `best`; `verdict`: open, accepted, chosen or review (in the queue) by a person, who chose `chosen`."""

    row: int
    id: str
    title: str
    best: list[str]
    best_id: str
    path: list[str]
    confidence: float
    decision: Literal["accept", "partial", "review"]
    reason: str
    verdict: Literal["open", "accepted", "chosen", "review"]
    chosen: list[str] | None
    review_id: int | None
    alternatives: list[AlternativeOut]
    problems: list[str]


class FacetOut(ResponseModel):
    """One value of a facet, and how many products have it under the other filters."""

    value: str
    count: int


class BatchProductsOut(ResponseModel):
    """One page of a file's products; `total`: on all pages."""

    total: int
    products: list[BatchProductOut]
    facets: dict[str, list[FacetOut]]


class BatchAcceptIn(RequestModel):
    """Which open products: as the filters of the table. Without `confirm`, they are only counted."""

    model_config = examples({"min_confidence": 0.9, "branch": "", "confirm": False})

    min_confidence: float = Field(0.0, ge=0, le=1)
    branch: Key = ""
    decision: Decision = ""
    q: Key = ""
    confirm: bool = False


class BatchAcceptedOut(ResponseModel):
    """How many products, the lowest confidence among them, and whether they are accepted now."""

    count: int
    lowest: float | None
    confirmed: bool


class BatchChooseIn(RequestModel):
    """A category for one product."""

    model_config = examples({"chosen": "Clothing & Shoes > Shoes > Trainers"})

    chosen: CategoryId = Field(description="The category's id, or its path as `A > B`.")


class BatchUndoOut(ResponseModel):
    """How many products are open again."""

    count: int


class BatchReviewIn(RequestModel):
    """Without `confirm`, products are only counted."""

    confirm: bool = False


class BatchReviewOut(ResponseModel):
    """How many products nobody accepted, and whether they are put into the review queue now."""

    count: int
    confirmed: bool
