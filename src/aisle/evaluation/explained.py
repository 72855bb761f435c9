"""Explanations as pictures: a heat over the product's picture, its words and views beside it."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from aisle.data import Product
from aisle.evaluation.numbers import percent
from aisle.evaluation.pages import environment
from aisle.evaluation.result import Explained, Picture, Word
from aisle.evaluation.thumbnails import QUALITY
from aisle.inference.explain import Explanation, Pieces
from aisle.inference.prediction_files import whole_file

FOR, AGAINST = (11, 122, 107), (185, 58, 31)  # report.css: --model and --wrong
DEEPEST = 0.75  # of the colour over the region that counts most
TOLD = 12  # words that count most


def explained(explanation: Explanation, product: Product, side: int = 240) -> Explained:
    """What a page shows of an explanation: the words that moved most, in their order, and a heat."""
    ranked = sorted(explanation.words, key=lambda w: -abs(w.weight))[:TOLD]
    return Explained(
        words=tuple(Word(word=w.word, weight=w.weight) for w in explanation.words if w in ranked),
        views=dict(explanation.views),
        heat=heat(explanation, product, side),
    )


def contributions(explanation: Explanation) -> list[tuple[str, float]]:
    """What each view adds to the log-odds, and products like it, where they are asked."""
    near = [("neighbours", explanation.neighbours)] if explanation.neighbours else []
    return [*explanation.views.items(), *near]


def heat(explanation: Explanation, product: Product, side: int) -> Picture:
    """The product's picture with what spoke for the place in one colour and what spoke against in another."""
    image = heat_image(explanation, product)
    if image is None:
        return Picture(state="none")
    out = io.BytesIO()
    image.resize((side, side)).save(out, "JPEG", quality=QUALITY, optimize=True)
    return Picture(
        state="shown", src="data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
    )


def heat_image(explanation: Explanation, product: Product) -> Image.Image | None:
    """The same as an image; None where the decision saw no picture."""
    pixels = Pieces.of(product).pixels
    if explanation.regions is None or pixels is None:
        return None
    weights = explanation.regions / max(float(np.abs(explanation.regions).max()), 1e-9)
    smooth = Image.fromarray(weights.astype(np.float32)).resize(pixels.shape[1::-1], Image.Resampling.BICUBIC)
    depth = np.clip(np.asarray(smooth), -1, 1)[..., None]
    grey = pixels.mean(2, keepdims=True) * 0.5 + pixels * 0.5  # so that the heat stands out
    colour = np.where(depth > 0, np.array(FOR), np.array(AGAINST))
    alpha = np.abs(depth) * DEEPEST
    return Image.fromarray((grey * (1 - alpha) + colour * alpha).astype(np.uint8))


def draw(explanation: Explanation, product: Product, file: Path) -> None:
    """One explanation as a PNG: picture, words and views.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure

    from aisle.taxonomy import format_path

    image = heat_image(explanation, product)
    figure = Figure(figsize=(11 if image else 8, 4.2), layout="constrained")
    axes = figure.subplots(1, 3 if image else 2, width_ratios=[1.1, 1.2, 0.9] if image else [1.4, 1])
    if image is not None:
        axes[0].imshow(np.asarray(image))
        axes[0].set_axis_off()
    ranked = sorted(explanation.words, key=lambda w: -abs(w.weight))[:TOLD][::-1]
    _bars(axes[-2], [(w.word, w.weight) for w in ranked], "words")
    _bars(axes[-1], contributions(explanation)[::-1], "views")
    sure = f"confidence {percent(explanation.confidence)}"
    figure.suptitle(
        f"{explanation.id}: {format_path(explanation.path)} ({sure})", fontsize=11, parse_math=False
    )
    figure.savefig(file, dpi=110)


def _bars(axes, rows: list[tuple[str, float]], title: str) -> None:  # noqa: ANN001 - matplotlib's Axes
    names = [name if len(name) <= 28 else name[:27] + "…" for name, _ in rows]
    colours = [tuple(c / 255 for c in (FOR if weight > 0 else AGAINST)) for _, weight in rows]
    axes.barh(range(len(rows)), [weight for _, weight in rows], color=colours)
    axes.set_yticks(range(len(rows)), names, fontsize=9, parse_math=False)
    axes.axvline(0, color="0.5", lw=0.8)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("log-odds", fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)


def write(
    explanations: Sequence[Explanation],
    products: Sequence[Product],
    near: Sequence[Sequence[dict]],
    folder: Path,
) -> Path:
    """`explain.html`, `explain.json` and a PNG a product; returns the page's path.

    near: for each product the labelled products nearest to it, as dictionaries of `id`, `title`, `path`,
    `similarity` and `picture`.

    Raises:
        OSError: the folder cannot be written.
    """
    import json

    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, (explanation, product, others) in enumerate(
        zip(explanations, products, near, strict=True), 1
    ):
        draw(explanation, product, folder / f"explain-{number}.png")
        told = explanation.to_dict()
        told["nearest_products"] = [{k: v for k, v in other.items() if k != "picture"} for other in others]
        found.append(told)
    with whole_file(folder / "explain.json") as handle:
        handle.write(json.dumps(found, ensure_ascii=False, indent=1))
    cards = [
        {
            "explanation": e,
            "product": p,
            "x": explained(e, p, 420),
            "near": others,
            "shares": dict(contributions(e)),
        }
        for e, p, others in zip(explanations, products, near, strict=True)
    ]
    with whole_file(folder / "explain.html") as handle:
        handle.write(environment().get_template("explain.html").render(cards=cards))
    return folder / "explain.html"
