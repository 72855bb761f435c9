"""GET /v1/taxonomy: the tree, with what was learned and measured at each of its nodes."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from aisle.server import schemas
from aisle.server.items import clean
from aisle.server.models import Slot
from aisle.server.problems import ApiError
from aisle.server.routes.request_io import answer
from aisle.server.routing import KeyRoute
from aisle.server.security import Seller
from aisle.server.state import Here

router = APIRouter(tags=["taxonomy"], route_class=KeyRoute)


@router.get(
    "/v1/taxonomy",
    summary="The category tree",
    response_model=schemas.TaxonomyOut,
    responses={304: {"description": "Not changed since that ETag"}, **schemas.USUAL, **schemas.failures(404)},
)
def taxonomy(
    server: Here,
    holder: Seller,
    model: Annotated[str | None, Query(max_length=200)] = None,
    parent: Annotated[
        str | None, Query(max_length=2000, description="Only the children of this id; empty: the top.")
    ] = None,
    q: Annotated[str | None, Query(max_length=200, description="Only paths that hold these words.")] = None,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 100_000,
    if_none_match: Annotated[str | None, Header(max_length=500)] = None,
) -> Response:
    """Categories in depth-first order, with training products and measured accuracy; all of them, one
    level, or those that words find, best first."""
    slot = server.models.standing.slot(model)
    tag = f'"{slot.taxonomy.fingerprint}-{slot.model_id}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    nodes = _wanted(slot, parent, q)
    found = {
        "model": slot.name,
        "model_id": slot.model_id,
        "fingerprint": slot.taxonomy.fingerprint,
        "total": len(nodes),
        "nodes": [node_of(slot, i) for i in nodes[:limit]],
    }
    return answer(found, headers)


def _wanted(slot: Slot, parent: str | None, q: str | None) -> list[int]:
    tree = slot.taxonomy
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
    """How well a path fits: its own name beginning with the words first, then the words on many levels;
    None: not at all."""
    whole, name = " ".join(path).casefold(), path[-1].casefold()
    if not all(word in whole for word in words):
        return None
    starts = sum(any(part.startswith(word) for part in name.split()) for word in words)
    levels = sum(any(word in part.casefold() for word in words) for part in path)
    return -starts, -levels, len(path)


def node_of(slot: Slot, i: int) -> dict[str, Any]:
    """A category as JSON."""
    tree, node = slot.taxonomy, slot.taxonomy.nodes[i]
    above = int(tree.parent[i])
    score = slot.node_scores.get(node.id, {})
    return {
        "id": node.id,
        "path": list(node.path),
        "parent": tree.nodes[above].id if above >= 0 else None,
        "assignable": bool(tree.terminal_of[i] >= 0),
        "children": len(tree.children[i]),
        "products": int(slot.training_counts[i]),
        "judged": score.get("products"),
        "accuracy": score.get("accuracy"),
    }
