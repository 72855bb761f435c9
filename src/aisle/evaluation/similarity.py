"""Finds labelled products of a catalog that are similar to given products."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aisle.data import Catalog, Product
from aisle.evaluation.thumbnails import thumbnail

MAX_SIMILAR = 4
MAX_SEARCHED = 5_000  # labelled rows that are searched; of more, a random sample
TITLE = 80  # characters


def similar_products(
    classifier: Any, products: Sequence[Product], catalog: Catalog | None
) -> list[list[dict[str, Any]]]:
    """Find the labelled products that are most similar to each product, in any embedding space of the model.

    Args:
        classifier: The model.
        products: The products.
        catalog: The labelled products; None: no result.

    Returns:
        Up to four dictionaries for each product: id, title, path, similarity and image. The product itself is
        left out.
    """
    view_embeddings = getattr(classifier, "view_embeddings", None)
    if catalog is None or view_embeddings is None or not catalog.labelled:
        return [[] for _ in products]
    node = catalog.targets().node
    rows = np.flatnonzero(node >= 0)
    if len(rows) > MAX_SEARCHED:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_SEARCHED, replace=False))
    candidates = catalog.select(rows)
    candidate_vectors, product_vectors = view_embeddings(candidates), view_embeddings(products)
    similarity_matrix = np.full((len(products), len(rows)), -1.0)
    for name, vectors in candidate_vectors.items():
        similarity_matrix = np.maximum(similarity_matrix, _unit(product_vectors[name]) @ _unit(vectors).T)
    results = []
    for i, product in enumerate(products):
        order = [
            j
            for j in np.argsort(-similarity_matrix[i], kind="stable").tolist()
            if similarity_matrix[i, j] > 0
        ]
        others = ((j, candidates[j]) for j in order[: MAX_SIMILAR + 5])
        results.append(
            [
                _neighbor(o, similarity_matrix[i, j], catalog, int(node[rows[j]]))
                for j, o in others
                if o.id != product.id
            ][:MAX_SIMILAR]
        )
    return results


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
