"""Judging a model on a fixed set before it may answer: the same labelled products for both."""

import asyncio
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fastapi.concurrency import run_in_threadpool

from aisle.data import Product, read
from aisle.guarantee import Prediction
from aisle.metrics import paired_bootstrap
from aisle.server.batching import Batcher
from aisle.server.models import Slot
from aisle.server.problems import ServerError
from aisle.taxonomy import CategoryPath, Taxonomy

_FEW = 8  # products of the fixed set that stand in the queue at one time


class Verdict(NamedTuple):
    """Of the `products` of the fixed set, how many the `live` model and the `candidate` get right (the
    full path, or the branch where no more is known), on how many one alone is right, and 95 % limits of
    the difference in accuracy."""

    products: int
    live: int
    candidate: int
    only_live: int
    only_candidate: int
    difference: float
    low: float
    high: float

    @property
    def not_worse(self) -> bool:
        """Whether the candidate gets at least as many right."""
        return self.candidate >= self.live


def read_gold(file: Path, model: Any = None) -> list[Product]:
    """The labelled products of a file, its `test` rows where it has a `split` column that names some. model:
    whose catalog's columns the file has.

    Raises:
        ServerError: none has a label.
        AisleError: the file cannot be read.
    """
    catalog = read(file, like=model)
    rows = np.flatnonzero(~catalog.fatal)
    if catalog.split is not None and "test" in set(catalog.split):
        rows = np.flatnonzero(~catalog.fatal & (catalog.split == "test"))
    found = [product for product in (catalog[int(row)] for row in rows) if product.categories]
    if not found:
        raise ServerError(f"{file}: no row has a category to judge models by")
    return found


async def judge(batcher: Batcher, candidate: Slot, live: Slot, gold: list[Product]) -> Verdict:
    """Both on the same products, a few at a time in between callers' requests: the whole set at once would
    count as a queue that callers have to wait for, and they would be refused."""
    said: list[list[Any]] = [[], []]
    for start in range(0, len(gold), _FEW):
        few = gold[start : start + _FEW]
        for slot, answers in zip((live, candidate), said, strict=True):
            answers += await asyncio.wrap_future(batcher.submit(slot.predict, few, patience=math.inf))
    return await run_in_threadpool(_compared, gold, live, candidate, said)


def _compared(gold: list[Product], live: Slot, candidate: Slot, said: list[list[Any]]) -> Verdict:
    ours, theirs = (
        np.array([_right(slot.taxonomy, *pair) for pair in zip(answers, gold, strict=True)])
        for slot, answers in zip((live, candidate), said, strict=True)
    )
    change = paired_bootstrap(theirs, ours)
    return Verdict(
        len(gold),
        int(ours.sum()),
        int(theirs.sum()),
        int((ours & ~theirs).sum()),
        int((theirs & ~ours).sum()),
        *(round(float(x), 6) for x in change),
    )


def _right(tree: Taxonomy, answer: Any, product: Product) -> bool:
    return isinstance(answer, Prediction) and any(_fits(tree, answer.best, c) for c in product.categories)


def _fits(tree: Taxonomy, best: CategoryPath, label: CategoryPath) -> bool:
    """The very path, or inside the branch where the label is one that products cannot end at."""
    node = tree.find(label)
    branch = node is not None and tree.terminal_of[node] < 0
    return best == label or (branch and best[: len(label)] == label)
