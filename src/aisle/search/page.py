"""Hits as a sheet of images: a page that asks nothing of the outside; users' words are escaped."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from aisle.data.images import ImageError, jpeg_data_uri, jpeg_thumbnail
from aisle.search.index import Hit

SIDE = 360  # pixels: sharp at 180 on a dense screen
_SHOWN = 4  # fields under an image, beside title and description
_LONG = 60  # letters of a field's value that are shown
_ELSEWHERE = {"title", "description", "name"}


Order = Literal["alike", "words", "match"]


class Card(NamedTuple):
    """One hit as it is shown."""

    hit: Hit
    title: str
    src: str
    why: str
    fields: list[tuple[str, str]]


def render(
    query: str, where: str | None, hits: Sequence[Hit], total: int, model_id: str, asked: str = ""
) -> str:
    """The page's HTML. query: what was asked for, in words; asked: its image as a data URI; total: products
    that could have been found."""
    environment = Environment(
        loader=PackageLoader("aisle.search", "."),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = environment.loader.get_source(environment, "hits.css")[0]  # type: ignore[union-attr]
    return environment.get_template("hits.html").render(
        query=query,
        where=where,
        cards=[_card(hit) for hit in hits],
        order=order_of(hits),
        total=total,
        model_id=model_id,
        asked=asked,
        css=Markup(css),
    )


def order_of(hits: Sequence[Hit]) -> Order:
    """What hits are ordered by: how alike they are, how well their words fit, or both (`match`)."""
    if all(hit.words is None for hit in hits):
        return "alike"
    return "words" if all(hit.similarity is None for hit in hits) else "match"


def title_of(hit: Hit) -> str:
    """What a hit is called: its title, else its first words, else its id."""
    named = hit.fields.get("title") or hit.fields.get("name") or next(iter(hit.fields.values()), "")
    return " ".join(named.split()) or hit.id


def _card(hit: Hit) -> Card:
    src = why = ""
    if hit.image is not None:
        try:
            src = jpeg_data_uri(jpeg_thumbnail(hit.image, SIDE))
        except ImageError as error:
            why = str(error)
    kept = [(name, " ".join(value.split())) for name, value in hit.fields.items()]
    shown = [(name, value) for name, value in kept if name not in _ELSEWHERE and len(value) <= _LONG]
    return Card(hit, title_of(hit), src, why, shown[:_SHOWN])
