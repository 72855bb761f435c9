"""Measures robustness: products are changed in ways that should not change their category."""

import io
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from aisle.data import ImageRef, Product
from aisle.data.images import ImageError, decode
from aisle.evaluation.collect import ScoreFn, product_batches
from aisle.evaluation.shown_products import ChangedPrediction, RobustnessScore
from aisle.evaluation.summary import limits
from aisle.metrics import Truth, clopper_pearson
from aisle.progress import SILENT, Progress

MAX_PRODUCTS = 1000  # products that are changed; of more, a random sample
MAX_EXAMPLES = 3  # flipped predictions shown
SIDE = 512  # pixels of the shorter side of an image before it is cropped
CROP_SHARE = 0.8  # share of the width and height after cropping
TITLE = 120  # characters

_COLOURS = {
    "en": "black white red blue green yellow pink purple orange brown grey silver gold beige navy turquoise",
    "de": "schwarz weiß rot blau grün gelb rosa lila orange braun grau silber gold beige türkis",
    "fr": "noir blanc rouge bleu vert jaune rose violet orange marron gris argent doré beige turquoise",
    "es": "negro blanco rojo azul verde amarillo rosa morado naranja marrón gris plata dorado beige turquesa",
    "it": "nero bianco rosso blu verde giallo rosa viola arancione marrone grigio argento oro beige turchese",
    "nl": "zwart wit rood blauw groen geel roze paars oranje bruin grijs zilver goud beige turkoois",
}
_LISTS = tuple(tuple(words.split()) for words in _COLOURS.values())
_LETTERS = ("XXS", "XS", "S", "M", "L", "XL", "XXL", "XXXL")
_UNIT = r"mm|cm|m|inch|inches|in|ft|ml|cl|l|litres?|liters?|g|kg|oz|lb"
_SIZE = re.compile(
    rf"(?<!['’])\b(?:(?P<letters>(?-i:XXS|XS|XXXL|XXL|XL|[SML]))|(?P<number>\d+(?:[.,]\d+)?)(?P<unit>\s?(?:{_UNIT}))|"
    r"(?P<word>size|taille|größe|talla|taglia|maat)\s(?P<worn>\d+))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")

ProductChange = Callable[[Product, np.random.Generator], Product | None]


def recoloured(product: Product, rng: np.random.Generator) -> Product | None:
    """Replace every colour by another of the same language."""
    all_colours = {word for words in _LISTS for word in words}
    present = {
        m[0].casefold() for text in product.fields.values() for m in _WORD.finditer(text)
    } & all_colours
    if not present:
        return None
    replacement = {}
    for word in sorted(present):
        words = max(_LISTS, key=lambda words: (word in words) * (1 + len(present & set(words))))
        replacement[word] = str(rng.choice([w for w in words if w not in present]))
    return _replace_words(
        product,
        lambda m: _match_case(replacement[m[0].casefold()], m[0]) if m[0].casefold() in replacement else m[0],
    )


def resized(product: Product, rng: np.random.Generator) -> Product | None:
    """Replace every size by another of its kind: letters, a number with a unit, a number after `size`."""

    def another(m: re.Match[str]) -> str:
        if m["letters"]:
            return str(rng.choice([s for s in _LETTERS if s != m["letters"].upper()]))
        if m["worn"]:
            return f"{m['word']} {int(m['worn']) + int(rng.choice([-2, -1, 1, 2]))}"
        number = float(m["number"].replace(",", "."))
        return f"{max(round(number * float(rng.choice([0.5, 0.8, 1.25, 2.0])), 1), 0.1):g}{m['unit']}"

    fields = {name: _SIZE.sub(another, text) for name, text in product.fields.items()}
    return _with_fields(product, fields)


def reordered(product: Product, rng: np.random.Generator) -> Product | None:
    """Shuffle the words of the title."""
    words = product.fields.get("title", "").split()
    return (
        _with_fields(product, {**product.fields, "title": " ".join(rng.permutation(words))})
        if len(words) > 1
        else None
    )


def recased(product: Product, rng: np.random.Generator) -> Product | None:
    """Change texts to upper case; those in upper case to lower case."""
    fields = {name: text.lower() if text.isupper() else text.upper() for name, text in product.fields.items()}
    return _with_fields(product, fields)


def mistyped(product: Product, rng: np.random.Generator) -> Product | None:
    """Swap two letters of a word of the title."""
    title = product.fields.get("title", "")
    positions = [
        i for m in _WORD.finditer(title) if len(m[0]) >= 4 for i in range(m.start() + 1, m.end() - 1)
    ]
    swappable = [i for i in positions if title[i] != title[i + 1]]
    if not swappable:
        return None
    i = swappable[int(rng.integers(len(swappable)))]
    typo = title[:i] + title[i + 1] + title[i] + title[i + 2 :]
    return _with_fields(product, {**product.fields, "title": typo})


def cropped(product: Product, rng: np.random.Generator) -> Product | None:
    """Crop each image to four fifths of its width and height, at a random position."""
    images = []
    for ref in product.images:
        try:
            image = decode(ref, SIDE)
        except ImageError:
            images.append(ref)
            continue
        width, height = (max(1, round(CROP_SHARE * side)) for side in image.size)
        x, y = (
            int(rng.integers(side - part + 1)) for side, part in zip(image.size, (width, height), strict=True)
        )
        buffer = io.BytesIO()
        image.crop((x, y, x + width, y + height)).save(buffer, "BMP")
        images.append(ImageRef(data=buffer.getvalue()))
    return replace(product, images=tuple(images)) if any(ref.data for ref in images) else None


CHANGES: Mapping[str, ProductChange] = MappingProxyType(
    {
        "colour": recoloured, "size": resized, "word order": reordered, "case": recased, "typo": mistyped,
        "crop": cropped,
    }
)  # fmt: skip


def robustness(
    score: ScoreFn, products: Sequence[Product], rows: np.ndarray, truth: Truth, progress: Progress = SILENT
) -> tuple[RobustnessScore, ...]:
    """Measure how often each change flips the most probable path.

    Args:
        score: Scores products.
        products: The catalog.
        rows: (B,) positions of the products; of more than `MAX_PRODUCTS`, a random sample is used.
        truth: Their acceptable categories.
        progress: Reports progress.
    """
    sampled = np.arange(len(rows))
    if len(sampled) > MAX_PRODUCTS:
        sampled = np.sort(np.random.default_rng(0).choice(sampled, MAX_PRODUCTS, replace=False))
    tree = truth.taxonomy
    predictions = _best(score, products, rows[sampled])
    results = []
    with progress("changing products", len(CHANGES) * len(sampled)) as advance:
        for kind, change in CHANGES.items():
            pairs = []
            for i, row in zip(sampled.tolist(), rows[sampled].tolist(), strict=True):
                product = products[row]
                changed = change(product, np.random.default_rng([zlib.crc32(kind.encode()), row]))
                if changed is not None:
                    pairs.append((i, product, changed))
                advance(1)
            if pairs:
                results.append(
                    _robustness_score(
                        kind,
                        score,
                        pairs,
                        dict(zip(sampled.tolist(), predictions, strict=True)),
                        truth,
                        tree.depth,
                    )
                )
    return tuple(results)


def _robustness_score(
    kind: str, score: ScoreFn, pairs: list[tuple[int, Product, Product]],
    predictions: dict[int, tuple[str, ...]], truth: Truth, depth: int,
) -> RobustnessScore:  # fmt: skip
    changed = [new_paths for _, _, new_paths in pairs]
    new_paths = _best(score, changed, np.arange(len(changed)))
    tree = truth.taxonomy
    indices = np.array([i for i, _, _ in pairs])
    old_paths = [predictions[i] for i in indices.tolist()]
    flipped = np.array([a != b for a, b in zip(old_paths, new_paths, strict=True)])
    top = np.array([a[:1] != b[:1] for a, b in zip(old_paths, new_paths, strict=True)])
    sampled_truth = truth[indices]
    right = [
        sampled_truth.hits(np.array([[_node(tree, p)] for p in paths]))[:, 0]
        for paths in (old_paths, new_paths)
    ]
    examples = np.flatnonzero(flipped)[np.argsort(~top[flipped], kind="stable")][:MAX_EXAMPLES].tolist()
    return RobustnessScore(
        kind=kind,
        products=len(pairs),
        flipped=limits(clopper_pearson(int(flipped.sum()), len(pairs))),
        top=float(top.mean()),
        lost=float((right[0] & ~right[1]).mean()),
        won=float((~right[0] & right[1]).mean()),
        examples=tuple(
            ChangedPrediction(
                id=pairs[n][1].id,
                title=_title(pairs[n][1]),
                changed=_title(pairs[n][2]),
                before=old_paths[n],
                after=new_paths[n],
            )
            for n in examples
        ),
    )


def _node(tree, path: tuple[str, ...]) -> int:  # noqa: ANN001 - a Taxonomy
    node = tree.find(path)
    return -1 if node is None else node


def _best(score: ScoreFn, products: Sequence[Product], rows: np.ndarray) -> list[tuple[str, ...]]:
    paths: list[tuple[str, ...]] = []
    for batch in product_batches(products, rows):
        scores = score(batch)
        paths += [scores.taxonomy.nodes[n].path for n in scores.best().tolist()]
    return paths


def _replace_words(product: Product, word: Callable[[re.Match[str]], str]) -> Product | None:
    return _with_fields(product, {name: _WORD.sub(word, text) for name, text in product.fields.items()})


def _with_fields(product: Product, fields: Mapping[str, str]) -> Product | None:
    return None if dict(fields) == dict(product.fields) else replace(product, fields=dict(fields))


def _match_case(word: str, original: str) -> str:
    return (
        word.upper()
        if original.isupper() and len(original) > 1
        else word.capitalize()
        if original[0].isupper()
        else word
    )


def _title(product: Product) -> str:
    text = product.fields.get("title") or next(iter(product.fields.values()), "")
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= TITLE else text[:TITLE].rstrip() + "…"
