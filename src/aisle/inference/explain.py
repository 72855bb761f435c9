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

GRID = 7  # regions per side of an image
MAX_WORDS = 48  # of longer texts, adjacent words are grouped
SIDE = 224  # pixels per side
MAX_EXACT_VIEWS = 6  # views whose Shapley values are exact
SHAPLEY_SAMPLES = 12  # permutations of words and regions
_NEAREST = 3  # similar training products
_WORD = re.compile(r"\w+(?:[-'’.]\w+)*")

AttributionMethod = Literal["occlusion", "shapley"]


class WordWeight(NamedTuple):
    """A word, or a group of adjacent words, and the drop in the log-odds without it."""

    word: str
    weight: float


class NearestProduct(NamedTuple):
    """A training product: its category, its cosine similarity, and the view that is compared."""

    path: CategoryPath
    similarity: float
    view: str


@dataclass(frozen=True)
class Explanation:
    """An explanation of one prediction; importances are differences of the log-odds of `path`.

    Attributes:
        id: of the product.
        path: the category that is explained.
        confidence: its calibrated confidence, as in the prediction.
        words: importances of words, in the order of the text.
        regions: (GRID, GRID) importances of the regions of the first image, None without one.
        views: contribution of each view, relative to a product without any.
        neighbors: contribution of similar training products; 0 without k-NN calibration.
        nearest: the most similar training products, where the model has a k-NN index.
        seen: whether the model was trained on this product; None where that is unknown.
    """

    id: str
    path: CategoryPath
    confidence: float
    words: tuple[WordWeight, ...]
    regions: np.ndarray | None
    views: Mapping[str, float]
    neighbors: float = 0.0
    nearest: tuple[NearestProduct, ...] = ()
    seen: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "id": self.id,
            "path": list(self.path),
            "confidence": round(self.confidence, 6),
            "seen": self.seen,
            "words": [{"word": w.word, "weight": w.weight} for w in self.words],
            "regions": None if self.regions is None else self.regions.tolist(),
            "views": dict(self.views),
            "neighbors": self.neighbors,
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
    """Explain the predictions of products.

    Args:
        classifier: the model.
        products: the products.
        node: the category to explain; the most probable one by default.
        method: `occlusion` removes each word and region alone; `shapley` averages over permutations in which
            all are removed (captum's sampling), which takes `SHAPLEY_SAMPLES` times as long, and shares the
            importance among redundant words.

    Returns:
        One explanation per product.

    Raises:
        MissingExtraError: `shapley` without captum.
    """
    with tempfile.TemporaryDirectory(prefix="aisle-explain-") as folder:
        cached = _with_cache(classifier, Path(folder))
        explanations = [_explain(cached, product, node, method) for product in products]
    seen = getattr(classifier, "seen", None)
    if seen is None or not explanations:
        return explanations
    return [replace(e, seen=bool(known)) for e, known in zip(explanations, seen(products), strict=True)]


def _with_cache(classifier: Classifier, folder: Path) -> Classifier:
    """A copy that caches encoders' outputs: a text is encoded once, however often the image changes."""
    with_store = getattr(classifier, "with_store", None)
    if with_store is None:
        return classifier
    from aisle.models.features import FeatureStore

    return with_store(FeatureStore(folder))


def _explain(
    classifier: Classifier, product: Product, node: int | None, method: AttributionMethod
) -> Explanation:
    masked = MaskableProduct.of(product)
    scores = _calibrated(classifier, [masked.whole])
    black = None if masked.pixels is None else _with_image(product, np.zeros_like(masked.pixels))
    if black is not None and _equal(scores, _calibrated(classifier, [black])):
        masked = replace(masked, whole=product, pixels=None)  # the model reads no images
    all_scores = confidences(classifier, [product])
    target = int(all_scores.best()[0]) if node is None else node
    confidence = float(np.exp(all_scores.place(target).astype(np.float64)[0]))

    def score(kept: np.ndarray) -> np.ndarray:
        return log_odds(_calibrated(classifier, masked.without(kept)), target)

    n = len(masked.words)
    count = n + masked.regions
    if not count:
        weights = np.zeros(0)
    elif method == "shapley":
        weights = _shapley(score, count)
    else:
        weights = float(log_odds(scores, target)[0]) - score(~np.eye(count, dtype=bool))
    return Explanation(
        id=product.id,
        path=scores.taxonomy.nodes[target].path,
        confidence=confidence,
        words=tuple(WordWeight(text, float(w)) for text, w in zip(masked.words, weights[:n], strict=True)),
        regions=weights[n:].reshape(GRID, GRID) if masked.regions else None,
        views=_view_contributions(classifier, product, target),
        neighbors=_neighbor_contribution(classifier, product, target, confidence),
        nearest=_nearest(classifier, product),
    )


def _calibrated(classifier: Classifier, products: Sequence[Product], without: Collection[str] = ()) -> Scores:
    """Calibrated scores, before k-NN calibration."""
    policy, scores = getattr(classifier, "policy", None), classifier.score(products, without=without)
    return policy.calibrate(scores) if isinstance(policy, Policy) else scores


def _neighbor_contribution(classifier: Classifier, product: Product, target: int, confidence: float) -> float:
    """The change of the log-odds by k-NN calibration."""
    policy = getattr(classifier, "policy", None)
    if not isinstance(policy, Policy) or not policy.uses_neighbors:
        return 0.0
    after = math.log(max(confidence, 1e-26)) - math.log1p(-min(confidence, 1 - 1e-16))
    return after - float(log_odds(_calibrated(classifier, [product]), target)[0])


def _equal(a: Scores, b: Scores) -> bool:
    return np.allclose(a.all(), b.all(), rtol=0, atol=1e-9)


def log_odds(scores: Scores, node: int) -> np.ndarray:
    """(B,) log p / (1 - p) of a node (of its terminal, where it is one), accurate where p is close to 1."""
    terminal = int(scores.taxonomy.terminal_of[node])
    start, stop = (terminal, terminal + 1) if terminal >= 0 else scores.taxonomy.span[node]
    logp = scores.all().astype(np.float64)
    inside = np.logaddexp.reduce(logp[:, start:stop], axis=1)
    rest = np.concatenate([logp[:, :start], logp[:, stop:]], 1)
    outside = np.logaddexp.reduce(rest, axis=1) if rest.shape[1] else np.full(len(logp), -np.inf)
    return np.clip(inside - outside, -60.0, 60.0)


@dataclass(frozen=True)
class MaskableProduct:
    """A product whose words and image regions can be removed.

    Attributes:
        whole: the product, with its first image cropped to a square.
        words: the groups of words, as text.
        members: the words of each group, in lower case.
        pixels: (S, S, 3) uint8, the first image; None where there is none.
    """

    whole: Product
    words: tuple[str, ...]
    members: tuple[frozenset[str], ...]
    pixels: np.ndarray | None

    @property
    def regions(self) -> int:
        """Number of image regions."""
        return 0 if self.pixels is None else GRID * GRID

    @classmethod
    def of(cls, product: Product) -> "MaskableProduct":
        """Split a product into groups of words and image regions."""
        spelling: dict[str, str] = {}
        for text in product.fields.values():
            for match in _WORD.finditer(text):
                spelling.setdefault(match[0].casefold(), match[0])
        keys, size = list(spelling), math.ceil(len(spelling) / MAX_WORDS) or 1
        groups = [keys[i : i + size] for i in range(0, len(keys), size)]
        pixels = _square_pixels(product)
        masked = product if pixels is None else _with_image(product, pixels)
        words = tuple(" ".join(spelling[key] for key in group) for group in groups)
        return cls(masked, words, tuple(frozenset(group) for group in groups), pixels)

    def without(self, kept: np.ndarray) -> list[Product]:
        """Copies with words and regions removed; `kept` is (B, words + regions) bool."""
        return [self._masked(row) for row in kept]

    def _masked(self, kept: np.ndarray) -> Product:
        n, product = len(self.words), self.whole
        removed = frozenset().union(*(m for m, k in zip(self.members, kept[:n], strict=True) if not k))
        if removed:
            fields = {name: _without_words(text, removed) for name, text in product.fields.items()}
            product = replace(product, fields={name: text for name, text in fields.items() if text})
        if self.pixels is not None and not kept[n:].all():
            product = _with_image(product, mask_regions(self.pixels, ~kept[n:].reshape(GRID, GRID)))
        return product


def _without_words(text: str, removed: frozenset[str]) -> str:
    rest = _WORD.sub(lambda match: "" if match[0].casefold() in removed else match[0], text)
    return rest if rest.strip() else ""


def _square_pixels(product: Product) -> np.ndarray | None:
    """(S, S, 3) uint8 of the first image: resized to cover a square, and cropped at the center."""
    if not product.images:
        return None
    from PIL import Image, ImageOps

    try:
        image = decode(product.images[0], SIDE)
    except ImageError:
        return None
    return np.asarray(ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC))


def mask_regions(pixels: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Fill the regions `removed` (GRID, GRID) bool of an image (S, S, 3) with its mean colour."""
    edges = np.linspace(0, len(pixels), GRID + 1).round().astype(int)
    lengths = np.diff(edges)
    mask = np.repeat(np.repeat(removed, lengths, 0), lengths, 1)
    mean = pixels.reshape(-1, 3).mean(0).astype(np.uint8)
    return np.where(mask[..., None], mean, pixels).astype(np.uint8)


def _with_image(product: Product, pixels: np.ndarray) -> Product:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "BMP")  # fast and lossless
    return replace(product, images=(ImageRef(data=out.getvalue()), *product.images[1:]))


def _shapley(score: Any, count: int) -> np.ndarray:
    extra("captum", "explain", "--method shapley")
    import torch
    from captum.attr import ShapleyValueSampling

    def forward(kept: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(score(kept.numpy() > 0.5)).float()

    torch.manual_seed(0)  # reproducible
    sampling = ShapleyValueSampling(forward)
    values = sampling.attribute(torch.ones(1, count), n_samples=SHAPLEY_SAMPLES, perturbations_per_eval=32)
    return values[0].double().numpy()


def _view_contributions(classifier: Classifier, product: Product, target: int) -> dict[str, float]:
    """Exact Shapley values of the views (Shapley 1953); of many views, the drop without each alone."""
    views = tuple(classifier.views)

    def score(without: Collection[str]) -> float:
        return float(log_odds(_calibrated(classifier, [product], without), target)[0])

    if len(views) > MAX_EXACT_VIEWS:
        full = score(())
        return {view: full - score((view,)) for view in views}
    value = {
        subset: score(tuple(v for v in views if v not in subset))
        for size in range(len(views) + 1)
        for subset in combinations(views, size)
    }
    contributions = {}
    for view in views:
        others = [v for v in views if v != view]
        contributions[view] = sum(
            (value[tuple(v for v in views if v in subset or v == view)] - value[subset])
            / (len(views) * math.comb(len(others), size))
            for size in range(len(others) + 1)
            for subset in combinations(others, size)
        )
    return contributions


def _nearest(classifier: Classifier, product: Product) -> tuple[NearestProduct, ...]:
    """The most similar training products by any view, at most one per category."""
    index: Any = getattr(classifier, "knn_index", None)
    nearest = getattr(classifier, "nearest", None)
    neighbors = nearest([product]) if index is not None and nearest is not None else None
    if neighbors is None or index is None:
        return ()
    views, tree = list(index.spaces), classifier.taxonomy
    products = [
        NearestProduct(tree.nodes[node].path, float(similarity), views[space])
        for space in range(neighbors.node.shape[1])
        for node, similarity in zip(neighbors.node[0, space], neighbors.similarity[0, space], strict=True)
        if node >= 0 and np.isfinite(similarity)
    ]
    best: dict[CategoryPath, NearestProduct] = {}
    for nearest_product in sorted(products, key=lambda n: -n.similarity):
        best.setdefault(nearest_product.path, nearest_product)
    return tuple(best.values())[:_NEAREST]
