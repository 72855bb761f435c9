"""Explanations as images: a heat map over the product's image, its words and views."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from aisle.atomic_files import atomic_text
from aisle.charts import Chart, figure
from aisle.data import Product
from aisle.data.images import jpeg_data_uri
from aisle.evaluation.numbers import percent
from aisle.evaluation.pages import environment
from aisle.evaluation.shown_products import ExplanationView, Thumbnail, Word
from aisle.evaluation.thumbnails import QUALITY
from aisle.inference.explain import Explanation, MaskableProduct
from aisle.taxonomy import format_path

FOR, AGAINST = (11, 122, 107), (185, 58, 31)  # report.css: --model and --wrong
MAX_ALPHA = 0.75  # of the colour over the region that counts most
WORDS = 12  # words that count most


def explained(explanation: Explanation, product: Product, side: int = 240) -> ExplanationView:
    """The view of an explanation on a page: the words of the largest weights, and a heat map."""
    ranked = sorted(explanation.words, key=lambda w: -abs(w.weight))[:WORDS]
    return ExplanationView(
        words=tuple(Word(word=w.word, weight=w.weight) for w in explanation.words if w in ranked),
        views=dict(explanation.views),
        heat=heat(explanation, product, side),
    )


def contributions(explanation: Explanation) -> list[tuple[str, float]]:
    """The contribution of each view, and of nearest neighbors if used, to the log-odds."""
    neighbors = [("neighbors", explanation.neighbors)] if explanation.neighbors else []
    return [*explanation.views.items(), *neighbors]


def heat(explanation: Explanation, product: Product, side: int) -> Thumbnail:
    """The product's image, tinted by one color for support of the category and another against it."""
    jpeg = _heat_jpeg(explanation, product, (side, side))
    if jpeg is None:
        return Thumbnail(state="none")
    return Thumbnail(state="shown", src=jpeg_data_uri(jpeg))


def _heat_jpeg(explanation: Explanation, product: Product, size: tuple[int, int]) -> bytes | None:
    image = heat_image(explanation, product)
    if image is None:
        return None
    buffer = io.BytesIO()
    image.resize(size).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def heat_image(explanation: Explanation, product: Product) -> Image.Image | None:
    """The heat map as an image; None if the product has no image."""
    pixels = MaskableProduct.of(product).pixels
    if explanation.regions is None or pixels is None:
        return None
    weights = explanation.regions / max(float(np.abs(explanation.regions).max()), 1e-9)
    upscaled = Image.fromarray(weights.astype(np.float32)).resize(
        pixels.shape[1::-1], Image.Resampling.BICUBIC
    )
    intensity = np.clip(np.asarray(upscaled), -1, 1)[..., None]
    faded = pixels.mean(2, keepdims=True) * 0.5 + pixels * 0.5  # so that the heat stands out
    color = np.where(intensity > 0, np.array(FOR), np.array(AGAINST))
    alpha = np.abs(intensity) * MAX_ALPHA
    return Image.fromarray((faded * (1 - alpha) + color * alpha).astype(np.uint8))


def draw(explanation: Explanation, product: Product, file: Path) -> None:
    """Write one explanation as SVG: the image, words and views.

    Raises:
        OSError: the file cannot be written.
    """
    charts = []
    jpeg = _heat_jpeg(explanation, product, (276, 276))
    if jpeg is not None:
        charts.append(Chart(300, 300, title="image", x_ticks=0, y_ticks=0))
        charts[0].image(jpeg)
    ranked = sorted(explanation.words, key=lambda w: -abs(w.weight))[:WORDS][::-1]
    charts.append(_bars([(w.word, w.weight) for w in ranked], "words", 380))
    charts.append(_bars(contributions(explanation)[::-1], "views", 320))
    title = (
        f"{explanation.id}: {format_path(explanation.path)} (confidence {percent(explanation.confidence)})"
    )
    file.write_text(figure(charts, title=title), encoding="utf-8")


def _bars(rows: Sequence[tuple[str, float]], title: str, width: float) -> Chart:
    """Horizontal bars from 0, one color for support and another for the opposite."""
    names = [name if len(name) <= 28 else name[:27] + "…" for name, _ in rows]
    low, high = (edge([0.0, *(weight for _, weight in rows)]) * 1.05 for edge in (min, max))
    chart = Chart(
        width, 300, x=(low, high), y=(-0.5, len(rows) - 0.5), title=title, x_label="log-odds", x_ticks=4,
        names=names,
    )  # fmt: skip
    for i, (_, weight) in enumerate(rows):
        color = "rgb({}, {}, {})".format(*(FOR if weight > 0 else AGAINST))
        chart.rectangle((0, weight), (i - 0.4, i + 0.4), color)
    chart.line([(0, -0.5), (0, len(rows) - 0.5)], chart.ink, 0.8)
    return chart


def write(
    explanations: Sequence[Explanation],
    products: Sequence[Product],
    neighbors: Sequence[Sequence[dict]],
    folder: Path,
) -> Path:
    """Write `explain.html`, `explain.json` and one SVG per product; returns the page's path.

    Args:
        explanations: The explanations.
        products: The explained products.
        neighbors: The nearest labelled products of each product, as dictionaries of `id`, `title`, `path`,
            `similarity` and `image`.
        folder: The folder.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for number, (explanation, product, others) in enumerate(
        zip(explanations, products, neighbors, strict=True), 1
    ):
        draw(explanation, product, folder / f"explain-{number}.svg")
        record = explanation.to_dict()
        record["nearest_products"] = [{k: v for k, v in other.items() if k != "image"} for other in others]
        records.append(record)
    with atomic_text(folder / "explain.json") as handle:
        handle.write(json.dumps(records, ensure_ascii=False, indent=1))
    cards = [
        {
            "explanation": e,
            "product": p,
            "x": explained(e, p, 420),
            "near": others,
            "shares": dict(contributions(e)),
        }
        for e, p, others in zip(explanations, products, neighbors, strict=True)
    ]
    with atomic_text(folder / "explain.html") as handle:
        handle.write(environment().get_template("explain.html").render(cards=cards))
    return folder / "explain.html"
