"""HTML page of hits, with all images inline; text from users is escaped."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from aisle.data.images import ImageError, jpeg_data_uri, jpeg_thumbnail
from aisle.html_pages import page_environment
from aisle.search.index import Hit

SIDE = 360  # pixels, twice the displayed width
_SHOWN = 4  # fields under an image
_LONG = 60  # characters; longer values are not shown
_NOT_LISTED = {"title", "description", "name"}  # of fields under an image

Order = Literal["similarity", "words", "match"]


class Card(NamedTuple):
    """One hit on the page.

    Attributes:
        hit: The hit.
        title: Its title.
        src: Its image as a data URI; empty if it has none.
        problem: Why its image cannot be shown; empty if it can.
        fields: Names and values of the fields to list.
    """

    hit: Hit
    title: str
    src: str
    problem: str
    fields: list[tuple[str, str]]


def render(
    query: str, where: str | None, hits: Sequence[Hit], total: int, model_id: str, query_image: str = ""
) -> str:
    """Render the page as HTML.

    Args:
        query: The query in words.
        where: The filter.
        hits: The hits, best first.
        total: Number of products that pass the filter.
        model_id: Id of the index's model.
        query_image: Image of the query as a data URI.
    """
    environment = page_environment("aisle.search", "hits.css")
    return environment.get_template("hits.html").render(
        query=query,
        where=where,
        cards=[_card(hit) for hit in hits],
        order=order_of(hits),
        total=total,
        model_id=model_id,
        query_image=query_image,
    )


def order_of(hits: Sequence[Hit]) -> Order:
    """The score that hits are sorted by: cosine (`similarity`), BM25 (`words`), or both (`match`)."""
    if all(hit.words is None for hit in hits):
        return "similarity"
    return "words" if all(hit.similarity is None for hit in hits) else "match"


def title_of(hit: Hit) -> str:
    """Title of a hit: its title or name, else its first field, else its id."""
    title = hit.fields.get("title") or hit.fields.get("name") or next(iter(hit.fields.values()), "")
    return " ".join(title.split()) or hit.id


def _card(hit: Hit) -> Card:
    src = problem = ""
    if hit.image is not None:
        try:
            src = jpeg_data_uri(jpeg_thumbnail(hit.image, SIDE))
        except ImageError as error:
            problem = str(error)
    fields = [(name, " ".join(value.split())) for name, value in hit.fields.items()]
    listed = [(name, value) for name, value in fields if name not in _NOT_LISTED and len(value) <= _LONG]
    return Card(hit, title_of(hit), src, problem, listed[:_SHOWN])
