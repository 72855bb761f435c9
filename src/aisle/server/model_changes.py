"""What would change if another model went live: products whose best category differs, by branch."""

import asyncio
import math
from collections import Counter
from typing import Any, NamedTuple

from fastapi.concurrency import run_in_threadpool

from aisle.data import Product
from aisle.data.product import ImageRef
from aisle.guarantee import Prediction
from aisle.server.batching import Batcher
from aisle.server.golden_set import CHUNK
from aisle.server.model_registry import ServedModel
from aisle.server.schemas.models import ChangedBranchOut, ChangedProductOut, ChangesOut
from aisle.server.store import ServerStore, feedback
from aisle.taxonomy import format_path

LATEST = 500  # products with feedback
SAMPLE = 200  # changed products in a response


class KnownProduct(NamedTuple):
    """A product, its label if it has one, and the URLs of its images."""

    product: Product
    label: str | None
    images: list[str]


async def find_changes(
    batcher: Batcher, store: ServerStore, candidate: ServedModel, live: ServedModel, golden: list[Product]
) -> ChangesOut:
    """Compare the predictions of two models, a few products at a time between requests.

    Args:
        batcher: The queue of predictions.
        store: The latest products with feedback.
        candidate: The model that may go live.
        live: The live model.
        golden: The golden set.
    """
    known = await run_in_threadpool(_known_products, store, golden)
    predictions: list[list[Any]] = [[], []]
    for start in range(0, len(known), CHUNK):
        chunk = [one.product for one in known[start : start + CHUNK]]
        for served, found in zip((live, candidate), predictions, strict=True):
            found += await asyncio.wrap_future(batcher.submit(served.predict, chunk, max_wait_s=math.inf))
    pairs = [
        (one, before, after)
        for one, before, after in zip(known, *predictions, strict=True)
        if isinstance(before, Prediction) and isinstance(after, Prediction)
    ]
    changed = [pair for pair in pairs if pair[1].best != pair[2].best]
    total, different = (Counter(before.best[0] for _, before, _ in some) for some in (pairs, changed))
    paths = [{format_path(node.path) for node in served.taxonomy.nodes} for served in (candidate, live)]
    return ChangesOut(
        model=candidate.name,
        live=live.name,
        products=len(pairs),
        changed=len(changed),
        automatic=sum(after.decision != "review" for _, _, after in pairs),
        live_automatic=sum(before.decision != "review" for _, before, _ in pairs),
        new_categories=sorted(paths[0] - paths[1]),
        missing_categories=sorted(paths[1] - paths[0]),
        branches=[
            ChangedBranchOut(branch=name, products=total[name], changed=number)
            for name, number in different.most_common()
        ],
        sample=[
            _changed_product(*pair)
            for pair in sorted(changed, key=lambda pair: -pair[2].confidence[-1])[:SAMPLE]
        ],
    )


def _known_products(store: ServerStore, golden: list[Product]) -> list[KnownProduct]:
    known = [KnownProduct(product, format_path(product.categories[0]), []) for product in golden]
    for row in feedback.latest(store, None, LATEST).rows:
        stored = [(name, feedback.image(store, name)) for name in row["images"]]
        images = tuple(ImageRef(data=data) for _, data in stored if data is not None)
        product = Product(row["product_id"], row["fields"], images)
        known.append(
            KnownProduct(product, format_path(row["chosen"]), [f"/v1/images/{name}" for name, _ in stored])
        )
    return known


def _changed_product(one: KnownProduct, before: Prediction, after: Prediction) -> ChangedProductOut:
    return ChangedProductOut(
        id=one.product.id,
        title=one.product.fields.get("title", ""),
        images=one.images,
        live=format_path(before.best),
        live_confidence=round(before.confidence[-1], 6),
        live_decision=before.decision,
        candidate=format_path(after.best),
        candidate_confidence=round(after.confidence[-1], 6),
        candidate_decision=after.decision,
        label=one.label,
    )
