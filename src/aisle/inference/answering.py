"""From scores to predictions, with what was wrong with each row: shared by all that answer. No torch here."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aisle.catalog import Catalog, Problem, Product
from aisle.decision import Policy, Prediction
from aisle.decision.neighbours import Nearest
from aisle.progress import Advance
from aisle.taxonomy import Scores

FAULTY = "the row is faulty: see its problems"


class Scored(NamedTuple):
    """What the network said of B products: `scores`, `embedding` (B, D), `present` (B, V) bool, the problems
    met while reading each of them, and `spaces`: by view, vectors (B, D) that know nothing of the tree."""

    scores: Scores
    embedding: np.ndarray
    present: np.ndarray
    problems: list[tuple[str, ...]]
    spaces: dict[str, np.ndarray]


@dataclass(frozen=True)
class Listed:
    """Some rows of a catalogue, already made into products, with what is known of each: as good as the
    catalogue itself to whatever answers. fatal: (n,) bool."""

    products: list[Product]
    problems: list[tuple[Problem, ...]]
    fatal: np.ndarray

    def __iter__(self) -> Iterator[Product]:
        return iter(self.products)

    def problems_of(self, i: int) -> tuple[Problem, ...]:
        """What is wrong with row i."""
        return self.problems[i]


def answered(
    parts: Iterable[tuple[list[Product], Scored]],
    products: Iterable[Product],
    policy: Policy,
    nearest: Callable[[Scored], Nearest | None],
    model_id: str,
    advance: Advance | None = None,
) -> Iterator[Prediction]:
    """One prediction a product, batch by batch. Rows of a catalogue carry their problems along, and faulty
    ones (`catalog.fatal`) are for review, whatever is left of them."""
    catalog = products if isinstance(products, Catalog | Listed) else None
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
            nearest=nearest(scored),
            model_id=model_id,
        )
        for answer, bad in zip(answers, faulty, strict=True):
            yield dataclasses.replace(answer, reason=FAULTY) if bad else answer
        row += len(batch)
        if advance:
            advance(len(batch))


def in_batches(products: Iterable[Product], size: int) -> Iterator[list[Product]]:
    """Lists of at most `size` products, so that a stream is never held whole."""
    batch: list[Product] = []
    for product in products:
        batch.append(product)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def short_keys(catalog: Catalog) -> np.ndarray:
    """(n,) uint64: the first half of each row's content hash, enough to recognise training rows."""
    return np.frombuffer(catalog.keys().tobytes(), dtype="<u8")[::2].astype(np.uint64)
