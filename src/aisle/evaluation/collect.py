"""Ask a classifier about every product and keep a few numbers of each answer, chunk by chunk, so that
memory grows with products × levels, not with products × categories."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from aisle.data import Product
from aisle.evaluation.trees import carry
from aisle.metrics import Truth, level_ranks
from aisle.progress import Advance
from aisle.taxonomy import Scores

CHUNK = 256
GUESSES = 5

ScoreFn = Callable[[list[Product]], Scores]


@dataclass(frozen=True)
class TopPredictions:
    """What is kept of B products' scores, over a tree of L levels.

    top, logp: (B, 5) the most probable terminals (-1: no more have any probability), best first.
    lineage: (B, L) log-probability of each level of the best path; NaN below its end.
    nll: (B,) of being right. level_rank, level_nll: (B, L), see `aisle.metrics.level_ranks`.
    """

    top: np.ndarray
    logp: np.ndarray
    lineage: np.ndarray
    nll: np.ndarray
    level_rank: np.ndarray
    level_nll: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """(B,) the predicted terminals."""
        return self.top[:, 0]


def collect(
    ask: ScoreFn, products: Sequence[Product], rows: np.ndarray, truth: Truth, advance: Advance
) -> TopPredictions:
    """The most probable predictions for the products at `rows`, whose labels `truth` holds in the same order.

    advance: told the size of each chunk done.
    """
    parts: list[TopPredictions] = []
    done = 0
    for chunk in chunks(products, rows):
        scores = carry(ask(chunk), truth.taxonomy)
        parts.append(_keep(scores, truth[done : done + len(chunk)]))
        done += len(chunk)
        advance(len(chunk))
    return TopPredictions(
        *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(TopPredictions))
    )


def _keep(scores: Scores, truth: Truth) -> TopPredictions:
    top = scores.topk(GUESSES)
    levels = [level_ranks(scores, truth, depth) for depth in range(1, truth.taxonomy.depth + 1)]
    return TopPredictions(
        top=np.where(np.isfinite(top.logp), top.node, -1),
        logp=top.logp,
        lineage=scores.lineage(top.node[:, 0]),
        nll=truth.nll(scores),
        level_rank=np.stack([level.rank for level in levels], 1),
        level_nll=np.stack([level.nll for level in levels], 1),
    )


def chunks(products: Sequence[Product], rows: np.ndarray) -> Iterator[list[Product]]:
    """The products at `rows`, at most `CHUNK` at a time."""
    for start in range(0, len(rows), CHUNK):
        yield [products[int(i)] for i in rows[start : start + CHUNK]]
