"""What there is to look at: `/v1/me`, `/v1/products`, `/v1/acceptance`."""

from typing import Any, Literal

from aisle.server.schemas.common import In, Key, Out
from aisle.server.schemas.feedback import How
from aisle.server.schemas.review import ReviewOut


class DayOut(Out):
    """One UTC day (its start in milliseconds since 1970). `acceptance`: of what people chose or accepted one
    by one, the share that is the first suggestion; `batch`, accepted several at a time, does not count."""

    day: int
    chosen: int
    accepted: int
    batch: int
    default: int
    acceptance: float | None


class DaysOut(Out):
    """Days with choices, the oldest first."""

    days: list[DayOut]


class MeOut(Out):
    """Whose key this is; `open`: the server asks nobody for one."""

    person: str
    role: Literal["seller", "reviewer", "admin"]
    open: bool


class SessionIn(In):
    """A key, to be kept in a cookie that scripts cannot read."""

    key: Key


class ProductOut(Out):
    """What is known of a product: its latest text and pictures, what was said of it, its reviews; whether it
    is in the served index, and its category there."""

    id: str
    fields: dict[str, str]
    pictures: list[str]
    feedback: list[dict[str, Any]]
    reviews: list[ReviewOut]
    indexed: bool
    category: list[str]


class ProductRow(Out):
    """A product that people spoke about: the latest word on it."""

    id: str
    title: str
    pictures: list[str]
    chosen: list[str]
    chosen_id: str
    how: How
    at: int


class ProductsOut(Out):
    """The latest first. `total`: how many there are."""

    products: list[ProductRow]
    total: int
