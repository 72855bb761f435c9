"""`/v1/search`."""

from typing import Annotated

from pydantic import Field, StringConstraints

from aisle.server.schemas.common import (
    Image,
    Key,
    MissingImageOut,
    RequestModel,
    ResponseModel,
    Title,
    examples,
)


class SearchIn(RequestModel):
    """A query of words, an image or both; or `more_like`, the id of a product of the index."""

    model_config = examples({"query": "blue wool scarf", "where": "category under 'Clothing' and price < 50"})

    query: Title = ""
    images: list[Image] = Field(default_factory=list, max_length=1)
    more_like: Key | None = None
    where: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        None, description="A filter, as for `aisle search --where`."
    )
    count: int = Field(20, ge=1, le=100)


class HitOut(ResponseModel):
    """A hit. `score`: what hits are ordered by; `similarity`: cosine with the query; `bm25`: the BM25 score;
    null if it was not found that way."""

    id: str
    title: str
    fields: dict[str, str]
    images: list[str]
    category: list[str]
    score: float
    similarity: float | None
    bm25: float | None


class SearchOut(ResponseModel):
    """The best match first. `total`: products that pass the filter; `missing_images`: images of the query
    that could not be read."""

    products: list[HitOut]
    total: int
    missing_images: list[MissingImageOut]
