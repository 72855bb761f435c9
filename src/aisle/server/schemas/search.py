"""`/v1/search`."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from aisle.server.schemas.common import In, Key, MissingImageOut, Out, Picture, Title


class SearchIn(In):
    """What to search products by: words, a picture or both; or `like`, a product of the index."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "blue wool scarf", "where": "category under 'Clothing' and price < 50"}]
        }
    )

    query: Title = ""
    images: list[Picture] = Field(default_factory=list, max_length=1)
    like: Key | None = None
    where: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        None, description="A filter, as `aisle search --where` reads it."
    )
    count: int = Field(20, ge=1, le=100)


class HitOut(Out):
    """A product found. `score`: what hits are ordered by; `similarity`: cosine with the query; `words`: its
    BM25 score; null where it was not found that way."""

    id: str
    title: str
    fields: dict[str, str]
    pictures: list[str]
    category: list[str]
    score: float
    similarity: float | None
    words: float | None


class SearchOut(Out):
    """The best match first. `total`: how many products there are, or that the filter lets through;
    `missing_images`: those of the query that could not be read."""

    products: list[HitOut]
    total: int
    missing_images: list[MissingImageOut]
