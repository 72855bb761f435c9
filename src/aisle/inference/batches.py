"""Batches of products, and scored batches as predictions. No torch here."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aisle.data import Catalog, Problem, Product
from aisle.guarantee import Policy, Prediction
from aisle.guarantee.nearest import Nearest
from aisle.guarantee.predictions import predictions
from aisle.models.views import View
from aisle.progress import Advance
from aisle.rules import DecidedBatch, Ruleset, apply_rules
from aisle.taxonomy import Scores

_TEXT_BATCH_SIZE = 1024  # of products without views that cost more than TF-IDF
FAULTY = "the row is faulty: see its problems"


class ScoredBatch(NamedTuple):
    """A model's output for B products.

    Attributes:
        scores: uncalibrated log-probabilities.
        embedding: (B, D) the vectors that products are searched by.
        present: (B, V) bool.
        problems: messages about each product.
        spaces: (B, D) embeddings by view for the k-NN index; they do not depend on the tree.
    """

    scores: Scores
    embedding: np.ndarray
    present: np.ndarray
    problems: list[tuple[str, ...]]
    spaces: Mapping[str, np.ndarray]


class LazyEmbeddings(Mapping[str, np.ndarray]):
    """Embeddings by view, computed on first access: a policy without neighbors needs none.

    Args:
        compute: functions by view.
    """

    def __init__(self, compute: Mapping[str, Callable[[], np.ndarray]]) -> None:
        self._compute = dict(compute)
        self._computed: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._computed:
            self._computed[name] = self._compute[name]()
        return self._computed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._compute)

    def __len__(self) -> int:
        return len(self._compute)


@dataclass(frozen=True)
class ProductRows:
    """Rows of a catalog as products, with their problems; `predict_stream` accepts it like a catalog.

    Attributes:
        products: n products.
        problems: of each row.
        fatal: (n,) bool, rows that cannot be decided automatically.
        sources: names of the files that the rows come from, if they are known.
    """

    products: list[Product]
    problems: list[tuple[Problem, ...]]
    fatal: np.ndarray
    sources: list[str] | None = None

    def __iter__(self) -> Iterator[Product]:
        return iter(self.products)

    def problems_of(self, i: int) -> tuple[Problem, ...]:
        """The problems of row i."""
        return self.problems[i]


def predictions_of(
    parts: Iterable[tuple[list[Product], ScoredBatch]],
    products: Iterable[Product],
    policy: Policy,
    nearest: Callable[[ScoredBatch], Nearest | None],
    model_id: str,
    advance: Advance | None = None,
    rules: Ruleset | None = None,
) -> Iterator[Prediction]:
    """Turn scored batches into predictions.

    Args:
        parts: products and scores of each batch.
        products: the source; the problems of a catalog's rows are added to the predictions, and its fatal
            rows go to review.
        policy: calibration, thresholds and guarantee.
        nearest: finds the neighbors of a batch.
        model_id: the model's id.
        advance: called with the size of each batch.
        rules: act on the predictions.

    Yields:
        One prediction per product, in order.
    """
    catalog = products if isinstance(products, Catalog | ProductRows) else None
    row = 0
    for batch, scored in parts:
        problems, faulty = scored.problems, np.zeros(len(batch), bool)
        if catalog is not None:
            rows = range(row, row + len(batch))
            row_problems = [tuple(map(str, catalog.problems_of(i))) for i in rows]
            problems = [a + b for a, b in zip(row_problems, problems, strict=True)]
            faulty = catalog.fatal[row : row + len(batch)]
        confidences, ood = policy.confidences_and_ood(
            scored.scores, nearest(scored) if policy.uses_neighbors else None
        )
        empty = ~(scored.present.any(1) & ~faulty)
        predictions_ = predictions(
            policy, [product.id for product in batch], confidences, empty, ood, problems, model_id
        )
        if rules is not None:
            sources = _sources(catalog, row, len(batch))
            decided = DecidedBatch(batch, sources, confidences, predictions_, faulty, empty, ood, problems)
            predictions_ = apply_rules(rules.on(scored.scores.taxonomy), policy, decided)
        for prediction, is_faulty in zip(predictions_, faulty.tolist(), strict=True):
            yield dataclasses.replace(prediction, reason=FAULTY) if is_faulty else prediction
        row += len(batch)
        if advance:
            advance(len(batch))


def _sources(catalog: Catalog | ProductRows | None, start: int, count: int) -> list[str]:
    """The names of the files that rows come from; blank where they are not known."""
    if isinstance(catalog, ProductRows) and catalog.sources is not None:
        return catalog.sources[start : start + count]
    if isinstance(catalog, Catalog):
        return file_names(catalog, start, count)
    return [""] * count


def file_names(catalog: Catalog, start: int, count: int) -> list[str]:
    """The names of the files that some rows of a catalog come from; blank where they are not known."""
    files = catalog.files
    if not files:
        return [""] * count
    firsts = np.array([file.first for file in files])
    numbers = catalog.rows[start : start + count]
    file_indices = np.searchsorted(firsts, numbers, "right") - 1
    return [files[i].path.name if i >= 0 else "" for i in file_indices.tolist()]


def batched(products: Iterable[Product], size: int) -> Iterator[list[Product]]:
    """Split a stream into lists of at most `size` products."""
    batch: list[Product] = []
    for product in products:
        batch.append(product)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def batched_by_cost(
    products: Iterable[Product], size: int, slow_views: Sequence[View]
) -> Iterator[list[Product]]:
    """Split a stream into lists of at most `size` products, or longer ones of products without slow views.

    Args:
        products: the stream.
        size: of a batch.
        slow_views: the views that cost more than TF-IDF.
    """
    for batch in batched(products, max(_TEXT_BATCH_SIZE, size)):
        if any(view.value(product) is not None for product in batch for view in slow_views):
            yield from batched(batch, size)
        else:
            yield batch
