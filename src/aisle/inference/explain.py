"""Explains predictions: words and image regions that matter, contributions of views, nearest products.

An importance is the drop in the log-odds of the predicted category's calibrated confidence when a word or
region is removed (occlusion), so it works for any `Classifier`. A word is removed wherever it occurs; a
region is filled with the image's mean color. Views' contributions are exact Shapley values.
"""

import io
import math
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from aisle.data import ImageRef, Product
from aisle.data.images import ImageError, decode
from aisle.errors import extra
from aisle.guarantee import Policy
from aisle.inference.classifier import Classifier, confidences
from aisle.taxonomy import CategoryPath, Scores

GRID = 7  # regions of a picture, across and down
WORDS = 48  # parts of a text that are weighed: of longer ones, words that follow each other count as one
SIDE = 224  # pixels of the square that is looked at
EXACT = 6  # views whose every combination is asked
SAMPLES = 12  # orders in which Shapley values take words and regions away
_WORD = re.compile(r"\w+(?:[-'’.]\w+)*")

AttributionMethod = Literal["occlusion", "shapley"]


class WordWeight(NamedTuple):
    """A word (or some that follow each other), and what the log-odds lose without it."""

    word: str
    weight: float


class NearestProduct(NamedTuple):
    """A product learned from: where it belongs, its cosine similarity, and in which view's space."""

    path: CategoryPath
    similarity: float
    view: str


@dataclass(frozen=True)
class Explanation:
    """What speaks for `path` as the place of a product; numbers are in log-odds of that place.

    confidence: that the product belongs there, as `predict` answers it. words: in order of the text. regions:
    (GRID, GRID) of the first picture, None without one. views: each view's share of what all of them together
    add to knowing nothing. neighbours: what products like it add to that, up to the confidence; 0 where the
    policy asks none. nearest: products learned from, where the model remembers any. seen: the model was
    trained on this very product, so that it says little of others; None where the model does not know.
    """

    id: str
    path: CategoryPath
    confidence: float
    words: tuple[WordWeight, ...]
    regions: np.ndarray | None
    views: Mapping[str, float]
    neighbours: float = 0.0
    nearest: tuple[NearestProduct, ...] = ()
    seen: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "id": self.id,
            "path": list(self.path),
            "confidence": round(self.confidence, 6),
            "seen": self.seen,
            "words": [{"word": w.word, "weight": w.weight} for w in self.words],
            "regions": None if self.regions is None else self.regions.tolist(),
            "views": dict(self.views),
            "neighbours": self.neighbours,
            "nearest": [
                {"path": list(n.path), "similarity": n.similarity, "view": n.view} for n in self.nearest
            ],
        }


def explain(
    classifier: Classifier,
    products: Sequence[Product],
    node: int | None = None,
    method: AttributionMethod = "occlusion",
) -> list[Explanation]:
    """One explanation a product, of its most probable place or of `node`.

    method: `occlusion` takes each word and region away alone; `shapley` averages over orders in which all are
    taken away (captum's sampling), which takes `SAMPLES` times as long and shares among words that repeat
    each other.

    Raises:
        MissingExtraError: `shapley` without captum.
    """
    with tempfile.TemporaryDirectory(prefix="aisle-explain-") as folder:
        asked = _keeping(classifier, Path(folder))
        found = [_explain(asked, product, node, method) for product in products]
    seen = getattr(classifier, "seen", None)
    if seen is None or not found:
        return found
    return [replace(one, seen=bool(known)) for one, known in zip(found, seen(products), strict=True)]


def _keeping(classifier: Classifier, folder: Path) -> Classifier:
    """The same with a store of its own: a text is encoded once however often its picture changes."""
    with_store = getattr(classifier, "with_store", None)
    if with_store is None:
        return classifier
    from aisle.models.features import FeatureStore

    return with_store(FeatureStore(folder))


def _explain(
    classifier: Classifier, product: Product, node: int | None, method: AttributionMethod
) -> Explanation:
    pieces = MaskableProduct.of(product)
    plain = _calibrated(classifier, [pieces.whole])
    black = None if pieces.pixels is None else _with_picture(product, np.zeros_like(pieces.pixels))
    if black is not None and _unmoved(plain, _calibrated(classifier, [black])):
        pieces = replace(pieces, whole=product, pixels=None)  # no view looks at pictures
    answer = confidences(classifier, [product])
    target = int(answer.best()[0]) if node is None else node
    confidence = float(np.exp(answer.place(target).astype(np.float64)[0]))
    full = float(log_odds(plain, target)[0])
    count = len(pieces.words) + pieces.regions
    ask = lambda kept: log_odds(_calibrated(classifier, pieces.without(kept)), target)  # noqa: E731
    if not count:
        weights = np.zeros(0)
    elif method == "shapley":
        weights = _shapley(ask, count)
    else:
        weights = full - ask(~np.eye(count, dtype=bool))
    n = len(pieces.words)
    return Explanation(
        id=product.id,
        path=plain.taxonomy.nodes[target].path,
        confidence=confidence,
        words=tuple(WordWeight(text, float(w)) for text, w in zip(pieces.words, weights[:n], strict=True)),
        regions=weights[n:].reshape(GRID, GRID) if pieces.regions else None,
        views=_views(classifier, product, target),
        neighbours=_neighbours(classifier, product, target, confidence),
        nearest=_nearest(classifier, product),
    )


def _calibrated(classifier: Classifier, products: Sequence[Product], without: Collection[str] = ()) -> Scores:
    """What products themselves say, before neighbours do, on the scale of the confidence."""
    policy, scores = getattr(classifier, "policy", None), classifier.score(products, without=without)
    return policy.calibrate(scores) if isinstance(policy, Policy) else scores


def _neighbours(classifier: Classifier, product: Product, target: int, confidence: float) -> float:
    """What neighbours add to the log-odds."""
    policy = getattr(classifier, "policy", None)
    if not isinstance(policy, Policy) or not policy.uses_neighbors:
        return 0.0
    answered = math.log(max(confidence, 1e-26)) - math.log1p(-min(confidence, 1 - 1e-16))
    return answered - float(log_odds(_calibrated(classifier, [product]), target)[0])


def _unmoved(scores: Scores, others: Scores) -> bool:
    return np.allclose(scores.all(), others.all(), rtol=0, atol=1e-9)


def log_odds(scores: Scores, node: int) -> np.ndarray:
    """(B,) log p / (1 - p) of a node, its own terminal where it has one, exact where p is all but 1."""
    own = int(scores.taxonomy.terminal_of[node])
    start, stop = (own, own + 1) if own >= 0 else scores.taxonomy.span[node]
    logp = scores.all().astype(np.float64)
    inside = np.logaddexp.reduce(logp[:, start:stop], axis=1)
    rest = np.concatenate([logp[:, :start], logp[:, stop:]], 1)
    outside = np.logaddexp.reduce(rest, axis=1) if rest.shape[1] else np.full(len(logp), -np.inf)
    return np.clip(inside - outside, -60.0, 60.0)


@dataclass(frozen=True)
class MaskableProduct:
    """A product in pieces that can be taken away: `words`, each a list of lower-case words that go together,
    and `regions` of its first picture, squared to `pixels` (S, S, 3)."""

    whole: Product
    words: tuple[str, ...]
    members: tuple[frozenset[str], ...]
    pixels: np.ndarray | None

    @property
    def regions(self) -> int:
        """How many regions there are."""
        return 0 if self.pixels is None else GRID * GRID

    @classmethod
    def of(cls, product: Product) -> "MaskableProduct":
        """Every word of its fields, and its first picture where that can be read."""
        found: dict[str, str] = {}
        for text in product.fields.values():
            for match in _WORD.finditer(text):
                found.setdefault(match[0].casefold(), match[0])
        keys, size = list(found), math.ceil(len(found) / WORDS) or 1
        groups = [keys[i : i + size] for i in range(0, len(keys), size)]
        pixels = _square(product)
        whole = product if pixels is None else _with_picture(product, pixels)
        words = tuple(" ".join(found[key] for key in group) for group in groups)
        return cls(whole, words, tuple(frozenset(group) for group in groups), pixels)

    def without(self, kept: np.ndarray) -> list[Product]:
        """kept: (B, words + regions) bool, what stays. One product a row."""
        return [self._one(row) for row in kept]

    def _one(self, kept: np.ndarray) -> Product:
        n, product = len(self.words), self.whole
        gone = frozenset().union(*(m for m, k in zip(self.members, kept[:n], strict=True) if not k))
        if gone:
            fields = {name: _thinned(text, gone) for name, text in product.fields.items()}
            product = replace(product, fields={name: text for name, text in fields.items() if text})
        if self.pixels is not None and not kept[n:].all():
            product = _with_picture(product, mask_regions(self.pixels, ~kept[n:].reshape(GRID, GRID)))
        return product


def _thinned(text: str, gone: frozenset[str]) -> str:
    left = _WORD.sub(lambda match: "" if match[0].casefold() in gone else match[0], text)
    return left if left.strip() else ""


def _square(product: Product) -> np.ndarray | None:
    """(S, S, 3) uint8 as image views see it: resized to cover a square and cropped at the centre."""
    if not product.images:
        return None
    from PIL import Image, ImageOps

    try:
        picture = decode(product.images[0], SIDE)
    except ImageError:
        return None
    return np.asarray(ImageOps.fit(picture, (SIDE, SIDE), Image.Resampling.BICUBIC))


def mask_regions(pixels: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """(S, S, 3) with regions where `gone` (GRID, GRID) is true in the picture's mean colour."""
    edges = np.linspace(0, len(pixels), GRID + 1).round().astype(int)
    lengths = np.diff(edges)
    mask = np.repeat(np.repeat(gone, lengths, 0), lengths, 1)
    mean = pixels.reshape(-1, 3).mean(0).astype(np.uint8)
    return np.where(mask[..., None], mean, pixels).astype(np.uint8)


def _with_picture(product: Product, pixels: np.ndarray) -> Product:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "BMP")  # no compression to spend time on, no loss
    return replace(product, images=(ImageRef(data=out.getvalue()), *product.images[1:]))


def _shapley(ask: Any, count: int) -> np.ndarray:
    extra("captum", "explain", "--method shapley")
    import torch
    from captum.attr import ShapleyValueSampling

    def forward(kept: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(ask(kept.numpy() > 0.5)).float()

    torch.manual_seed(0)  # the same product is explained the same way
    sampling = ShapleyValueSampling(forward)
    found = sampling.attribute(torch.ones(1, count), n_samples=SAMPLES, perturbations_per_eval=32)
    return found[0].double().numpy()


def _views(classifier: Classifier, product: Product, target: int) -> dict[str, float]:
    """Each view's Shapley value: its mean gain over all orders of adding views to none (Shapley 1953); of
    many views what is lost without each alone."""
    views = tuple(classifier.views)

    def ask(without: Collection[str]) -> float:
        return float(log_odds(_calibrated(classifier, [product], without), target)[0])

    if len(views) > EXACT:
        full = ask(())
        return {view: full - ask((view,)) for view in views}
    value = {
        there: ask(tuple(v for v in views if v not in there))
        for size in range(len(views) + 1)
        for there in combinations(views, size)
    }
    found = {}
    for view in views:
        others = [v for v in views if v != view]
        found[view] = sum(
            (value[tuple(v for v in views if v in some or v == view)] - value[some])
            / (len(views) * math.comb(len(others), size))
            for size in range(len(others) + 1)
            for some in combinations(others, size)
        )
    return found


def _nearest(classifier: Classifier, product: Product, most: int = 3) -> tuple[NearestProduct, ...]:
    """The nearest products that it learned from, in any space."""
    index: Any = getattr(classifier, "knn_index", None)
    nearest = getattr(classifier, "nearest", None)
    found = nearest([product]) if index is not None and nearest is not None else None
    if found is None or index is None:
        return ()
    views, tree = list(index.spaces), classifier.taxonomy
    near = [
        NearestProduct(tree.nodes[place].path, float(likeness), views[space])
        for space in range(found.place.shape[1])
        for place, likeness in zip(found.place[0, space], found.similarity[0, space], strict=True)
        if place >= 0 and np.isfinite(likeness)
    ]
    best: dict[CategoryPath, NearestProduct] = {}
    for one in sorted(near, key=lambda n: -n.similarity):
        best.setdefault(one.path, one)
    return tuple(best.values())[:most]
