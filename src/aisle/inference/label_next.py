"""Which unlabelled products to label next: those whose labels teach a model most.

Uncertain ones that differ from each other teach the model most: they are chosen one by one, each the one with
the highest chance of a wrong prediction times its distance to those already chosen. Random ones test a
guarantee, which assumes rows drawn like the products to come. Half of each serves both (docs/lab-notes.md has
the measurements).
"""

from typing import NamedTuple, Protocol

import numpy as np

from aisle.data import Catalog
from aisle.errors import CatalogError
from aisle.guarantee import Prediction
from aisle.progress import SILENT, Advance, Progress

_MOST_UNCERTAIN = 10  # candidates per product to choose, at least `_CANDIDATES`
_CANDIDATES = 5_000


class EmbeddingModel(Protocol):
    """Protocol of models that predict, embed, and know their training rows."""

    def seen(self, products: Catalog, /) -> np.ndarray:
        """(n,) bool: products whose content the model was trained on."""
        ...

    def predict_and_embed(
        self, products: Catalog, advance: Advance | None = None
    ) -> tuple[list[Prediction], np.ndarray]:
        """B predictions and (B, D) vectors."""
        ...


class LabelChoice(NamedTuple):
    """Products to label.

    Attributes:
        rows: (k,) row numbers; uncertain ones first, the most valuable of them at the top.
        predictions: (k,) what the model predicts for each.
        unlabelled: Number of rows without a label that the model was not trained on.
    """

    rows: np.ndarray
    predictions: list[Prediction]
    unlabelled: int

    @property
    def expected_errors(self) -> float:
        """Expected number of wrong predictions among the rows chosen."""
        return sum(1 - prediction.confidence[-1] for prediction in self.predictions)


def choose_to_label(
    model: EmbeddingModel,
    catalog: Catalog,
    count: int,
    method: str = "mixed",
    seed: int = 0,
    progress: Progress = SILENT,
) -> LabelChoice:
    """Choose the unlabelled products to label next.

    Rows with a label, faulty rows, and rows that the model was trained on are left out; of near-duplicates
    (by text), one is chosen.

    Args:
        model: The model.
        catalog: Products, labelled or not.
        count: Number of products to choose, at most.
        method: `uncertain`, `random`, or `mixed`: half of each.
        seed: Of the random choice.
        progress: Reports progress.

    Raises:
        CatalogError: No row is without a label and new to the model.
    """
    rows = np.flatnonzero((catalog.targets().node < 0) & ~catalog.fatal)
    rows = rows[~model.seen(catalog.select(rows))] if len(rows) else rows
    if not len(rows):
        raise CatalogError("no row is without a label and new to the model: there is nothing to label")
    open_rows = catalog.select(rows)
    order = np.random.default_rng(seed).permutation(len(rows))
    _, first = np.unique(open_rows.groups(images=False)[order], return_index=True)
    single = order[np.sort(first)]  # in random order
    single = single[:count] if method == "random" else single
    products = open_rows.select(single)
    with progress("predicting", len(products)) as advance:
        predictions, embeddings = model.predict_and_embed(products, advance)
    chosen = np.arange(len(single))
    if method != "random":
        wrong = np.array([1 - prediction.confidence[-1] for prediction in predictions])
        uncertain = most_informative(wrong, embeddings, count if method == "uncertain" else -(-count // 2))
        chosen = np.append(uncertain, np.setdiff1d(chosen, uncertain)[: count - len(uncertain)])
    return LabelChoice(rows[single[chosen]], [predictions[i] for i in chosen], len(rows))


def most_informative(uncertainty: np.ndarray, embeddings: np.ndarray, count: int) -> np.ndarray:
    """Choose uncertain products that differ from each other, one by one.

    Each is the one of the highest uncertainty times cosine distance to the nearest already chosen.

    Args:
        uncertainty: (n,) 0 to 1.
        embeddings: (n, D) vectors of the products.
        count: Number of products to choose, at most.

    Returns:
        Numbers of the products, in the order chosen.
    """
    n_candidates = max(_MOST_UNCERTAIN * count, _CANDIDATES)
    candidates = np.argsort(-uncertainty, kind="stable")[:n_candidates]
    vectors = embeddings[candidates].astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    gain, nearest = uncertainty[candidates].astype(np.float64), np.zeros(len(candidates))
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        best = int((gain * (1 - nearest)).argmax())
        chosen.append(best)
        gain[best] = -1.0  # below every other, and 1 - nearest is never negative
        nearest = np.clip(np.maximum(nearest, vectors @ vectors[best]), 0.0, 1.0 - 1e-6)
    return candidates[chosen]
