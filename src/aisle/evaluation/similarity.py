"""Labelled products of a catalog that are most like given ones, for people to look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aisle.data import Catalog, Product
from aisle.evaluation.thumbnails import thumbnail

MOST = 4
AMONG = 5_000  # labelled rows that are looked through, drawn by chance from more
TITLE = 80  # characters


def alike(
    classifier: Any, products: Sequence[Product], catalog: Catalog | None
) -> list[list[dict[str, Any]]]:
    """For each product the labelled rows nearest to it in any space that the model remembers products in;
    empty where there is no catalog, or no such space. A product is not like itself."""
    spaces = getattr(classifier, "view_embeddings", None)
    if catalog is None or spaces is None or not catalog.labelled:
        return [[] for _ in products]
    node = catalog.targets().node
    rows = np.flatnonzero(node >= 0)
    if len(rows) > AMONG:
        rows = np.sort(np.random.default_rng(0).choice(rows, AMONG, replace=False))
    among = catalog.select(rows)
    theirs, ours = spaces(among), spaces(products)
    near = np.full((len(products), len(rows)), -1.0)
    for name, vectors in theirs.items():
        near = np.maximum(near, _unit(ours[name]) @ _unit(vectors).T)
    found = []
    for i, product in enumerate(products):
        order = [j for j in np.argsort(-near[i], kind="stable").tolist() if near[i, j] > 0]
        others = ((j, among[j]) for j in order[: MOST + 5])
        found.append(
            [_neighbor(o, near[i, j], catalog, int(node[rows[j]])) for j, o in others if o.id != product.id][
                :MOST
            ]
        )
    return found


def _neighbor(product: Product, similarity: float, catalog: Catalog, node: int) -> dict[str, Any]:
    return {
        "id": product.id,
        "title": product.fields.get("title", "")[:TITLE],
        "path": catalog.taxonomy.nodes[node].path,
        "similarity": float(similarity),
        "image": thumbnail(product, 160),
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)
