"""`/v1/me`, `/v1/session`, `/v1/products` and `/v1/acceptance`."""

from typing import Any, Literal

from aisle.server.schemas.common import Key, RequestModel, ResponseModel
from aisle.server.schemas.feedback import How
from aisle.server.schemas.review import ReviewOut


class DayOut(ResponseModel):
    """A UTC day (its start in milliseconds since 1970) and its choices by kind. `acceptance`: the share of
    first suggestions among `chosen` and `accepted`; `batch` does not count."""

    day: int
    chosen: int
    accepted: int
    batch: int
    default: int
    acceptance: float | None


class DaysOut(ResponseModel):
    """Days with choices, the oldest first."""

    days: list[DayOut]


class MeOut(ResponseModel):
    """The person and role of a key; `open`: the server needs no key."""

    person: str
    role: Literal["seller", "reviewer", "admin"]
    open: bool


class SessionIn(RequestModel):
    """A key, to be stored in a cookie that scripts cannot read."""

    key: Key


class ProductOut(ResponseModel):
    """A product: its latest texts and images, its feedback and reviews, and its category in the index."""

    id: str
    fields: dict[str, str]
    images: list[str]
    feedback: list[dict[str, Any]]
    reviews: list[ReviewOut]
    indexed: bool
    category: list[str]


class ProductRow(ResponseModel):
    """A product and its latest choice."""

    id: str
    title: str
    images: list[str]
    chosen: list[str]
    chosen_id: str
    how: How
    at: int


class ProductsOut(ResponseModel):
    """The latest first; `total` counts those not listed, too."""

    products: list[ProductRow]
    total: int
