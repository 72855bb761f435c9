"""POST /v1/search: products like these words or this picture, where this installation can search."""

import importlib.util

from fastapi import APIRouter, Response

from aisle.server import schemas
from aisle.server.problems import ApiError
from aisle.server.security import Seller
from aisle.server.state import Here

router = APIRouter(tags=["search"])


@router.post(
    "/v1/search",
    summary="Find products",
    response_class=Response,
    responses={**schemas.USUAL, **schemas.failures(404, 501, 503)},
)
def search(sent: schemas.SearchIn, server: Here, holder: Seller) -> Response:
    """501 in an installation without search; 404 where no index is served."""
    if importlib.util.find_spec("aisle.search") is None:
        raise ApiError(501, "no_search", "this version of Aisle cannot search yet")
    raise ApiError(404, "no_index", "no index is served: make one, and name it to `aisle serve`")
