"""Which unlabelled products to label next: those whose labels teach a model most.

A label teaches most where the model is unsure of many products that are similar to the labelled one, and none
of those chosen so far is (`aisle.inference.coverage`). Random ones test a guarantee, which assumes rows
drawn like the products to come. Half of each serves both (docs/lab-notes.md has the measurements).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from aisle.data import Catalog
from aisle.errors import CatalogError
from aisle.guarantee import Prediction
from aisle.inference.coverage import CoverChoice, choose_informative, learning_weight
from aisle.models.views import View
from aisle.progress import SILENT, Advance, Progress
from aisle.taxonomy import CategoryPath, format_path

_DECIDING = 5.0  # seconds to choose a category, beside reading
_PER_WORD = 60 / 238  # seconds to read a word (Brysbaert 2019: 238 words a minute)


class EmbeddingModel(Protocol):
    """Protocol of models that predict, embed, and know their training rows."""

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that it reads."""
        ...

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
        rows: (k,) row numbers; informative ones first, those that teach most per annotator minute at the top.
        predictions: (k,) what the model predicts for each.
        reasons: (k,) why each was chosen.
        gain: (k,) expected gain: sum over all products of their weight (`learning_weight`) times how much
            more similar to them it is than any earlier chosen product; 0 for random ones.
        stands_for: (k,) number of uncertain products that are most similar to it, itself included; 0 for
            random ones.
        minutes: (k,) estimated time to label each: five seconds, and a quarter of a second a word.
        unlabelled: Number of rows without a label that the model was not trained on.
    """

    rows: np.ndarray
    predictions: list[Prediction]
    reasons: list[str]
    gain: np.ndarray
    stands_for: np.ndarray
    minutes: np.ndarray
    unlabelled: int

    @property
    def value(self) -> np.ndarray:
        """(k,) expected gain per annotator minute; of random ones, the median of the others."""
        value = self.gain / self.minutes
        known = value[self.gain > 0]
        return np.where(self.gain > 0, value, np.median(known) if len(known) else 1.0)

    @property
    def expected_errors(self) -> float:
        """Expected number of wrong predictions among the rows chosen."""
        return sum(1 - one.confidence[-1] for one in self.predictions)


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
        method: `informative`, `random`, or `mixed`: half of each.
        seed: Of the random choice.
        progress: Reports progress.

    Raises:
        CatalogError: No row is without a label and new to the model.
    """
    free = (catalog.targets().node < 0) & ~catalog.fatal
    rows = np.flatnonzero(free)
    rows = rows[~model.seen(catalog.select(rows))] if len(rows) else rows
    if not len(rows):
        raise CatalogError("no row is without a label and new to the model: there is nothing to label")
    open_rows = catalog.select(rows)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    _, first = np.unique(open_rows.groups(images=False)[order], return_index=True)
    single = order[np.sort(first)]  # in random order
    single = single[:count] if method == "random" else single
    products = open_rows.select(single)
    with progress("predicting", len(products)) as advance:
        predictions, embeddings = model.predict_and_embed(products, advance)
    minutes = np.array([_minutes(model, product) for product in products])
    if method == "random":
        best = CoverChoice(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    else:
        wanted = count if method == "informative" else -(-count // 2)
        with progress("comparing", 1, "step") as advance:
            texts = [_text(model, product) for product in products]
            titles = [product.fields.get("title", "") for product in products]
            weight = _weight(predictions, catalog.select(np.setdiff1d(np.arange(len(catalog)), rows)))
            best = choose_informative(weight, texts, titles, embeddings, wanted, rng)
            advance(1)
        pays = np.argsort(-best.gain / minutes[best.chosen], kind="stable")
        best = CoverChoice(best.chosen[pays], best.gain[pays], best.stands_for[pays])
    others = np.setdiff1d(np.arange(len(single)), best.chosen)[: count - len(best.chosen)]
    chosen = np.append(best.chosen, others)
    stands_for = np.append(best.stands_for, np.zeros(len(others), np.int64))
    gain = np.append(best.gain, np.zeros(len(others)))
    picked = [predictions[i] for i in chosen]
    reasons = [_reason(one, int(many)) for one, many in zip(picked, stands_for, strict=True)]
    return LabelChoice(rows[single[chosen]], picked, reasons, gain, stands_for, minutes[chosen], len(rows))


def uncertainty(predictions: Sequence[Prediction]) -> np.ndarray:
    """(n,) 1 less the margin: the confidence of the best path less that of the second one."""
    margins = [
        one.alternatives[0].confidence
        - (one.alternatives[1].confidence if len(one.alternatives) > 1 else 0.0)
        for one in predictions
    ]
    return np.clip(1 - np.array(margins), 0.0, 1.0)


def _weight(predictions: Sequence[Prediction], labelled: Catalog) -> np.ndarray:
    """(n,) what a label of products like each is worth."""
    number: dict[CategoryPath, int] = {}
    cells = [
        (one.confidence, row, number.setdefault(one.path, len(number)))
        for row, prediction in enumerate(predictions)
        for one in prediction.alternatives
    ]
    values, rows, columns = zip(*cells, strict=True)
    probabilities = sparse.csr_matrix((values, (rows, columns)), (len(predictions), len(number)))
    labels = Counter(product.categories[0] for product in labelled if product.categories)
    counts = np.array([labels[path] for path in number], dtype=np.float64)
    return learning_weight(uncertainty(predictions), probabilities, counts)


def _text(model: EmbeddingModel, product: Any) -> str:
    """The longest text that the model reads of a product; empty without any."""
    texts = [view.value(product) or "" for view in model.inputs if view.modality == "text"]
    return max(texts, key=len, default="")


def _minutes(model: EmbeddingModel, product: Any) -> float:
    """Estimated minutes to label a product."""
    return (_DECIDING + _PER_WORD * len(_text(model, product).split())) / 60


def _reason(prediction: Prediction, stands_for: int) -> str:
    """Why a product was chosen, in a sentence."""
    if not stands_for:
        return "drawn at random, to test the guarantee"
    named = [f"{format_path(path)} ({confidence:.0%})" for path, confidence in prediction.alternatives[:2]]
    unsure = f"unsure between {' and '.join(named)}" if len(named) > 1 else f"predicted {named[0]}"
    others = f"{stands_for - 1:,} other uncertain product{'s' if stands_for > 2 else ''}"
    return (
        f"{unsure}; most similar of the chosen ones to {others}"
        if stands_for > 1
        else f"{unsure}; unlike others"
    )
