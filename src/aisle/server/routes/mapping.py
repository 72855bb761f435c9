"""The mapping onto another tree that the server was started with: its rows, and targets that people set."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from aisle.server.errors import ApiError
from aisle.server.mapping_review import MappingReview, matching, row_json
from aisle.server.routes.request_io import json_response
from aisle.server.routes.taxonomy import select_nodes
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import error_responses
from aisle.server.schemas.mapping import MappingIn, MappingOut, MappingRowOut, MappingState, TargetsOut
from aisle.server.security import Reviewer
from aisle.server.state import Server, ServerDep

router = APIRouter(tags=["mapping"], route_class=AuthFirstRoute, responses=error_responses(404))


@router.get("/v1/mapping", summary="Rows of the mapping", response_model=MappingOut)
def mapping(
    server: ServerDep,
    key: Reviewer,
    state: MappingState | None = None,
    q: Annotated[str | None, Query(max_length=200, description="Only rows with these words.")] = None,
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """What `aisle map` found, and what people set. 404 if the server was started without a mapping."""
    rows = _review(server).rows()
    found = matching(rows, state, q)
    counts = {name: sum(row.state == name for row in rows) for name in ("review", "decided", "override")}
    shown = [row_json(row) for row in found[start : start + count]]
    return json_response({"rows": shown, "total": len(found), "counts": counts})


@router.put("/v1/mapping", summary="Set a target", response_model=MappingRowOut)
def set_target(sent: MappingIn, server: ServerDep, key: Reviewer) -> Response:
    """It is written into the column `override` of the mapping file, and the next `aisle map` keeps it."""
    return json_response(row_json(_review(server).set(sent.kind, sent.key, sent.target)))


@router.get("/v1/mapping/targets", summary="The target tree", response_model=TargetsOut)
def targets(
    server: ServerDep,
    key: Reviewer,
    parent: Annotated[str | None, Query(max_length=2000)] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
) -> Response:
    """Categories of the other tree: one level, or those that match words, best first."""
    tree = _review(server).tree
    nodes = select_nodes(tree, parent, q)
    found = [
        {
            "id": tree.nodes[i].id,
            "path": list(tree.nodes[i].path),
            "parent": tree.nodes[tree.parent[i]].id if tree.parent[i] >= 0 else None,
            "assignable": True,
            "children": len(tree.children[i]),
        }
        for i in nodes[:limit]
    ]
    return json_response({"nodes": found, "total": len(nodes)})


def _review(server: Server) -> MappingReview:
    if server.mapping is None:
        message = "this server has no mapping: aisle serve … --mapping mapping.csv --mapping-to google"
        raise ApiError(404, "no_mapping", message)
    return server.mapping
