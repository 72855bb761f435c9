"""GET /v1/taxonomy: the tree with training counts and accuracy."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from aisle.server.errors import ApiError
from aisle.server.model_registry import ServedModel
from aisle.server.product_parsing import clean
from aisle.server.routes.request_io import json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import error_responses
from aisle.server.schemas.taxonomy import TaxonomyOut
from aisle.server.security import Seller
from aisle.server.state import ServerDep
from aisle.taxonomy import Taxonomy

router = APIRouter(tags=["taxonomy"], route_class=AuthFirstRoute, responses=error_responses(404))


@router.get(
    "/v1/taxonomy",
    summary="The category tree",
    response_model=TaxonomyOut,
    responses={304: {"description": "Not changed since that ETag"}},
)
def taxonomy(
    server: ServerDep,
    key: Seller,
    model: Annotated[str | None, Query(max_length=200)] = None,
    parent: Annotated[
        str | None, Query(max_length=2000, description="Only the children of this id; empty: the top.")
    ] = None,
    q: Annotated[str | None, Query(max_length=200, description="Only paths with these words.")] = None,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 100_000,
    if_none_match: Annotated[str | None, Header(max_length=500)] = None,
) -> Response:
    """Categories in depth-first order: all, one level, or those that match words, best first."""
    served = server.registry.state.get(model)
    tag = f'"{served.taxonomy.fingerprint}-{served.model_id}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    nodes = select_nodes(served.taxonomy, parent, q)
    response = {
        "model": served.name,
        "model_id": served.model_id,
        "fingerprint": served.taxonomy.fingerprint,
        "total": len(nodes),
        "nodes": [_node_json(served, i) for i in nodes[:limit]],
    }
    return json_response(response, headers)


def select_nodes(tree: Taxonomy, parent: str | None, q: str | None) -> list[int]:
    """All nodes, the children of `parent` (empty: the top), or those that match the words `q`, best first.

    Raises:
        ApiError: The tree has no node `parent`.
    """
    if parent is None:
        nodes = list(range(len(tree)))
    elif parent == "":
        nodes = tree.level(1).tolist()
    else:
        above = tree.find(parent)
        if above is None:
            raise ApiError(404, "no_such_category", f"there is no category {clean(parent)[:200]!r}")
        nodes = list(tree.children[above])
    words = (q or "").casefold().split()
    if not words:
        return nodes
    ranked = [(rank, i) for i in nodes if (rank := _rank(tree.nodes[i].path, words)) is not None]
    return [i for _, i in sorted(ranked)]


def _rank(path: tuple[str, ...], words: list[str]) -> tuple[int, int, int] | None:
    """Sort key: words that begin words of the name, then levels with words, then depth; None: no match."""
    full_path, name = " ".join(path).casefold(), path[-1].casefold()
    if not all(word in full_path for word in words):
        return None
    starts = sum(any(part.startswith(word) for part in name.split()) for word in words)
    levels = sum(any(word in part.casefold() for word in words) for part in path)
    return -starts, -levels, len(path)


def _node_json(served: ServedModel, i: int) -> dict[str, Any]:
    tree, node = served.taxonomy, served.taxonomy.nodes[i]
    above = int(tree.parent[i])
    score = served.node_scores.get(node.id, {})
    return {
        "id": node.id,
        "path": list(node.path),
        "parent": tree.nodes[above].id if above >= 0 else None,
        "assignable": bool(tree.terminal_of[i] >= 0),
        "children": len(tree.children[i]),
        "products": int(served.training_counts[i]),
        "test_products": score.get("products"),
        "accuracy": score.get("accuracy"),
    }
