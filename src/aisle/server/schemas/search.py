"""`/v1/search`."""

from pydantic import Field

from aisle.server.schemas.common import In, PictureIn, Title


class SearchIn(In):
    """Words to search products by."""

    query: Title = ""
    images: list[PictureIn] = Field(default_factory=list, max_length=1)
    count: int = Field(20, ge=1, le=100)
