"""Renders the HTML page of a check: self-contained, with all text of the catalog escaped."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from aisle.data.images import ImageError, jpeg_data_uri, jpeg_thumbnail
from aisle.data.product import Product
from aisle.html_pages import page_environment
from aisle.taxonomy import format_path

if TYPE_CHECKING:
    from aisle.data.check import CheckReport

_BACKTICKS = re.compile("`([^`]*)`")  # commands in findings
_SIDE = 320  # pixels of a thumbnail
_SAMPLED = 24  # products of the random sample
_MAX_PROBLEMS = 300  # problems listed


@dataclass(frozen=True)
class Thumb:
    """An image as a data URI, or the error (both empty: the product has no image)."""

    src: str = ""
    reason: str = ""


@dataclass(frozen=True)
class SampleProduct:
    """A product of the random sample."""

    row: int
    title: str
    label: str
    image: Thumb


def thumbnail(product: Product) -> Thumb:
    """The first image of a product, re-encoded, so that the page has its pixels only."""
    if not product.images:
        return Thumb()
    try:
        data = jpeg_thumbnail(product.images[0], _SIDE)
    except ImageError as error:
        return Thumb(reason=str(error))
    return Thumb(jpeg_data_uri(data))


def render(report: "CheckReport") -> str:
    """The page's HTML."""
    environment = page_environment("aisle.data", "check.css")
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["ticks"] = lambda text: Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))
    return environment.get_template("check.html").render(
        r=report,
        errors=sum(finding.severity == "error" for finding in report.findings),
        has_images=bool(report.catalog.columns.images or report.catalog.columns.image_template),
        thumbs=_thumbs(report),
        sample=_sample(report),
        problems=report.problems[:_MAX_PROBLEMS],
        widest=max((band.classes for band in report.classes.bands), default=1) if report.classes else 1,
    )


def _thumbs(report: "CheckReport") -> dict[int, Thumb]:
    """The images of all rows shown in groups, by record number."""
    catalog = report.catalog
    example_rows = {
        example.row for finding in report.findings for group in finding.groups for example in group
    }
    positions = {row: catalog.position_of(row) for row in example_rows}
    return {row: thumbnail(catalog[i]) for row, i in positions.items() if i is not None}


def _sample(report: "CheckReport") -> list[SampleProduct]:
    """A random sample of the catalog with a fixed seed."""
    catalog = report.catalog
    usable = np.flatnonzero(~catalog.fatal)
    chosen = np.random.default_rng(0).choice(usable, min(_SAMPLED, len(usable)), replace=False)
    sample = []
    for i in sorted(chosen.tolist()):
        product = catalog[i]
        title = product.fields.get("title") or next(iter(product.fields.values()), product.id)
        label = format_path(product.categories[0]) if product.categories else "no label"
        sample.append(SampleProduct(int(catalog.rows[i]), title[:160], label, thumbnail(product)))
    return sample
