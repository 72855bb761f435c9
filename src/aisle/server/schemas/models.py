"""`/v1/models` and `/v1/shadow`."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from aisle.server.schemas.common import NO_NUL, In, Key, Out


class LoadIn(In):
    """A model to load: the name it shall have, and its folder below the library's."""

    name: Annotated[str, StringConstraints(pattern=r"^[^,/\s\x00-\x1f\x7f][^,/\x00-\x1f\x7f]{0,99}$")]
    folder: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=NO_NUL)]


class ShadowIn(In):
    """The model that shall answer along, unseen; null: none."""

    model: Key | None


class ModelOut(Out):
    """A loaded model. `training_products`: labelled products that it was trained from; `metrics`: what was
    measured of it on its run's test rows; `guarantee`: whether it decides anything by itself."""

    name: str
    model_id: str
    live: bool
    shadow: bool
    recipe: str | None
    training_products: int | None
    categories: int
    views: list[str]
    metrics: dict[str, float]
    guarantee: bool


class ModelsOut(Out):
    """`before`: those that were live, the latest last."""

    live: str
    shadow: str | None
    before: list[str]
    models: list[ModelOut]


class MeasuredOut(Out):
    """Of the `products` of the fixed set, how many the live model and the candidate got right, and 95 %
    limits of the difference in accuracy."""

    products: int
    live: int
    candidate: int
    only_live: int
    only_candidate: int
    difference: float
    low: float
    high: float
    not_worse: bool


class PromotedOut(ModelsOut):
    """It is live now."""

    measured: MeasuredOut


class ChangeOut(Out):
    """A model that went live, was refused, or was gone back to; UTC milliseconds since 1970."""

    id: int
    at: int
    person: str
    what: Literal["promoted", "refused", "rolled back"]
    model: str
    model_id: str
    before: str
    measured: MeasuredOut | None


class HistoryOut(Out):
    """The latest first."""

    changes: list[ChangeOut]


class ShadowOut(Out):
    """How often shadow and live model gave the same best path, and their decisions (`accept -> review`)."""

    model: str
    live: str
    products: int
    agreement: float | None
    decisions: dict[str, int]
