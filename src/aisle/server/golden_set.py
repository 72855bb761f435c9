"""Compares a candidate with the live model on the golden set, before it may go live."""

import asyncio
import math
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.concurrency import run_in_threadpool

from aisle.data import Product, read
from aisle.guarantee import Prediction
from aisle.metrics import paired_bootstrap
from aisle.server.batching import Batcher
from aisle.server.errors import ServerError
from aisle.server.model_registry import ServedModel
from aisle.server.schemas.models import ComparisonOut
from aisle.taxonomy import CategoryPath, Taxonomy

CHUNK = 8  # products of the golden set in the queue at a time


def read_golden_set(file: Path, model: Any = None) -> list[Product]:
    """The labelled products of a file; only its `test` rows, if it has a `split` column with some.

    Args:
        file: A catalog.
        model: A model whose columns the file has.

    Raises:
        ServerError: No row has a label.
        AisleError: The file cannot be read.
    """
    catalog = read(file, like=model)
    rows = np.flatnonzero(~catalog.fatal)
    if catalog.split is not None and "test" in set(catalog.split):
        rows = np.flatnonzero(~catalog.fatal & (catalog.split == "test"))
    products = [product for product in (catalog[int(row)] for row in rows) if product.categories]
    if not products:
        raise ServerError(f"{file}: no row has a category to compare models by")
    return products


async def compare_on_golden_set(
    batcher: Batcher, candidate: ServedModel, live: ServedModel, products: list[Product]
) -> ComparisonOut:
    """Compare two models, a few products at a time between requests, so that the queue stays short."""
    predictions: list[list[Any]] = [[], []]
    for start in range(0, len(products), CHUNK):
        chunk = products[start : start + CHUNK]
        for served, predicted in zip((live, candidate), predictions, strict=True):
            predicted += await asyncio.wrap_future(batcher.submit(served.predict, chunk, max_wait_s=math.inf))
    return await run_in_threadpool(_compare, products, live, candidate, predictions)


def _compare(
    products: list[Product], live: ServedModel, candidate: ServedModel, predictions: list[list[Any]]
) -> ComparisonOut:
    first, second = (
        np.array([_is_correct(served.taxonomy, *pair) for pair in zip(predicted, products, strict=True)])
        for served, predicted in zip((live, candidate), predictions, strict=True)
    )
    difference, low, high = (round(float(x), 6) for x in paired_bootstrap(second, first))
    return ComparisonOut(
        products=len(products),
        live=int(first.sum()),
        candidate=int(second.sum()),
        only_live=int((first & ~second).sum()),
        only_candidate=int((second & ~first).sum()),
        difference=difference,
        low=low,
        high=high,
    )


def _is_correct(tree: Taxonomy, prediction: Any, product: Product) -> bool:
    return isinstance(prediction, Prediction) and any(
        _matches(tree, prediction.best, label) for label in product.categories
    )


def _matches(tree: Taxonomy, best: CategoryPath, label: CategoryPath) -> bool:
    node = tree.find(label)
    is_branch = node is not None and tree.terminal_of[node] < 0
    return best == label or (is_branch and best[: len(label)] == label)
