"""The base class of all models: from scores to predictions, in batches. No torch here."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np

from aisle.data import Catalog, Problem, Product
from aisle.data.duplicates import product_key
from aisle.guarantee import Confidences, Policy, Prediction
from aisle.guarantee.nearest import Nearest
from aisle.inference.bundle import write_bundle
from aisle.inference.known_columns import ModelInputs, check_columns
from aisle.models.views import View
from aisle.progress import Advance
from aisle.taxonomy import Scores, Taxonomy

_WORDS = 1024  # products of words alone that are answered at once
FAULTY = "the row is faulty: see its problems"


class ScoredBatch(NamedTuple):
    """What the network said of B products: `scores`, `embedding` (B, D), `present` (B, V) bool, the problems
    met while reading each of them, and `spaces`: by view, vectors (B, D) that know nothing of the tree."""

    scores: Scores
    embedding: np.ndarray
    present: np.ndarray
    problems: list[tuple[str, ...]]
    spaces: Mapping[str, np.ndarray]


class TreeCounts(NamedTuple):
    """The tree and `counts` (N,), training products of each terminal."""

    taxonomy: Taxonomy
    counts: np.ndarray


class LazyEmbeddings(Mapping[str, np.ndarray]):
    """Vectors by space, each made when it is first asked for: a policy that asks no neighbours never does."""

    def __init__(self, make: Mapping[str, Callable[[], np.ndarray]]) -> None:
        self._make = dict(make)
        self._made: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._made:
            self._made[name] = self._make[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)


@dataclass(frozen=True)
class ProductRows:
    """Some rows of a catalog, already made into products, with what is known of each: as good as the
    catalogue itself to whatever answers. fatal: (n,) bool."""

    products: list[Product]
    problems: list[tuple[Problem, ...]]
    fatal: np.ndarray

    def __iter__(self) -> Iterator[Product]:
        return iter(self.products)

    def problems_of(self, i: int) -> tuple[Problem, ...]:
        """What is wrong with row i."""
        return self.problems[i]


def predictions_of(
    parts: Iterable[tuple[list[Product], ScoredBatch]],
    products: Iterable[Product],
    policy: Policy,
    nearest: Callable[[ScoredBatch], Nearest | None],
    model_id: str,
    advance: Advance | None = None,
) -> Iterator[Prediction]:
    """One prediction a product, batch by batch. Rows of a catalog carry their problems along, and faulty
    ones (`catalog.fatal`) are for review, whatever is left of them."""
    catalog = products if isinstance(products, Catalog | ProductRows) else None
    row = 0
    for batch, scored in parts:
        problems, faulty = scored.problems, np.zeros(len(batch), bool)
        if catalog is not None:
            rows = range(row, row + len(batch))
            told = [tuple(map(str, catalog.problems_of(i))) for i in rows]
            problems = [a + b for a, b in zip(told, problems, strict=True)]
            faulty = catalog.fatal[row : row + len(batch)]
        answers = policy.predict(
            [product.id for product in batch],
            scored.scores,
            problems=problems,
            present=scored.present.any(1) & ~faulty,
            nearest=nearest(scored) if policy.uses_neighbors else None,
            model_id=model_id,
        )
        for answer, bad in zip(answers, faulty.tolist(), strict=True):
            yield dataclasses.replace(answer, reason=FAULTY) if bad else answer
        row += len(batch)
        if advance:
            advance(len(batch))


def batched(products: Iterable[Product], size: int) -> Iterator[list[Product]]:
    """Lists of at most `size` products, so that a stream is never held whole."""
    batch: list[Product] = []
    for product in products:
        batch.append(product)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def batched_by_cost(products: Iterable[Product], size: int, large: Sequence[View]) -> Iterator[list[Product]]:
    """Lists of at most `size` products; longer ones where none has any of the views `large`: words alone cost
    less than the calls around them."""
    for some in batched(products, max(_WORDS, size)):
        if any(view.value(product) is not None for product in some for view in large):
            yield from batched(some, size)
        else:
            yield some


def content_hashes(products: Catalog | Iterable[Product]) -> np.ndarray:
    """(n,) uint64: the first half of each row's content hash, enough to recognise training rows."""
    if isinstance(products, Catalog):
        keys = products.keys().tobytes()
    else:
        keys = b"".join(map(product_key, products))
    return np.frombuffer(keys, dtype="<u8")[::2].astype(np.uint64)


class BasePredictor(ABC):
    """Base class of all models: scores, predictions and neighbours from what `_scored` gives, and saving.

    Subclasses are frozen dataclasses. `runtime` is the kind of model, as its manifest says it;
    `members_folder` the subfolder of a bundle that holds whole models, for a combination of models.
    """

    runtime: ClassVar[str]
    members_folder: ClassVar[str | None] = None
    policy: Policy
    model_id: str

    @property
    @abstractmethod
    def taxonomy(self) -> Taxonomy:
        """The category tree."""

    @property
    @abstractmethod
    def views(self) -> tuple[str, ...]:
        """The names of the views that are read."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[View, ...]:
        """The views that are read."""

    @property
    @abstractmethod
    def max_images(self) -> int:
        """The number of images read per product, the first ones; 0: none."""

    @abstractmethod
    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], ScoredBatch]]: ...

    @abstractmethod
    def _nearest(self, scored: ScoredBatch) -> Nearest | None: ...

    def score(self, products: Iterable[Product], without: Collection[str] = ()) -> Scores:
        """(B, N) uncalibrated log-probabilities, one row a product, in order: what calibration is fitted on.
        How sure an answer is say `predict` and `confidences`.

        without: views treated as absent.

        Raises:
            ValueError: `without` names a view that is not read here.
        """
        parts = [part.scores.logp for part in self.score_batches(products, without)]
        empty = np.zeros((0, len(self.taxonomy.terminals)), np.float32)
        return Scores(self.taxonomy, np.concatenate([empty, *parts]))

    def confidences(self, products: Iterable[Product], without: Collection[str] = ()) -> Confidences:
        """The calibrated confidence of every category, one row a product, in order: the numbers that
        `predict` answers with.

        without: views treated as absent.

        Raises:
            ValueError: `without` names a view that is not read here.
        """
        asks = self.policy.uses_neighbors
        parts = [
            self.policy.confidences(scored.scores, self._nearest(scored) if asks else None)
            for scored in self.score_batches(products, without)
        ]
        return Confidences.join(self.taxonomy, parts)

    def predict(
        self,
        products: Iterable[Product],
        advance: Advance | None = None,
        *,
        precision: float | None = None,
    ) -> list[Prediction]:
        """One prediction a product, in order. advance: told the size of each batch. precision: a point of the
        model's operating curve, that of its policy by default.

        Raises:
            PolicyError: the model's curve has no point of this precision.
            CatalogError: a whole catalog in which no row has anything that the model reads.
        """
        if isinstance(products, Catalog) and len(products):
            check_columns(cast(ModelInputs, self), products)
        return list(self.predict_stream(products, advance, precision=precision))

    def predict_stream(
        self,
        products: Iterable[Product],
        advance: Advance | None = None,
        *,
        precision: float | None = None,
    ) -> Iterator[Prediction]:
        """As `predict`, a few batches in memory at a time."""
        parts = self._scored(products, ())
        policy = self.policy if precision is None else self.policy.at(precision)
        yield from predictions_of(parts, products, policy, self._nearest, self.model_id, advance)

    def nearest(self, products: Iterable[Product]) -> Nearest | None:
        """What the products it learned from say of these; None without a memory of them."""
        parts = [self._nearest(part) for part in self.score_batches(products)]
        known = [part for part in parts if part is not None]
        return Nearest.join(known) if known else None

    def score_batches(
        self, products: Iterable[Product], without: Collection[str] = ()
    ) -> Iterator[ScoredBatch]:
        """Everything that is said, a batch at a time."""
        for _, scored in self._scored(products, without):
            yield scored

    @abstractmethod
    def write_files(self, folder: Path) -> str | None:
        """Write the files that only this kind of model has. Returns the id to give it; None to derive one."""

    def save(self, folder: str | Path) -> Self:
        """Write a bundle that loads on another machine without training data; returns the model with its id.

        Raises:
            BundleError: the folder exists and is no bundle, or cannot be written.
        """
        return self._replace(model_id=write_bundle(self, Path(folder)))

    def _replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def _check(self, without: Collection[str]) -> None:
        if unknown := set(without) - set(self.views):
            raise ValueError(f"no view {min(unknown)!r}; this model reads {', '.join(self.views)}")
