"""`/v1/mapping`."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from aisle.server.schemas.common import NO_NUL, RequestModel, ResponseModel

MappingState = Literal["review", "decided", "override"]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=NO_NUL)]


class MappingTargetOut(ResponseModel):
    """A possible target; `probability` is null where it is not known."""

    path: str
    id: str
    probability: float | None


class MappingRowOut(ResponseModel):
    """A category (`key`: its path), or a product (`key`: its id) of a category that straddles several
    targets. `state` `override`: a person set the target `override`."""

    kind: Literal["category", "product"]
    key: str
    title: str
    category: str
    products: int
    state: MappingState
    targets: list[MappingTargetOut]
    override: str


class MappingOut(ResponseModel):
    """Rows of the mapping, those with most products first. `total`: how many match; `counts`: of all."""

    rows: list[MappingRowOut]
    total: int
    counts: dict[MappingState, int]


class MappingIn(RequestModel):
    """The target that you set for a category or product: an id or a path; null takes it back."""

    kind: Literal["category", "product"]
    key: _Text
    target: _Text | None


class TargetNodeOut(ResponseModel):
    """A category of the target tree."""

    id: str
    path: list[str]
    parent: str | None
    assignable: bool
    children: int


class TargetsOut(ResponseModel):
    """Categories of the target tree; `total`: how many match."""

    nodes: list[TargetNodeOut]
    total: int
