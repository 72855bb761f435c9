"""POST /v1/search: products like these words or this picture, where an index is served."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from aisle.data import Product
from aisle.server import schemas
from aisle.server.items import clean
from aisle.server.problems import ApiError, ItemError
from aisle.server.routes.request_io import answer
from aisle.server.routing import KeyRoute
from aisle.server.search_service import Finder
from aisle.server.security import Seller
from aisle.server.state import Here, Server

router = APIRouter(tags=["search"], route_class=KeyRoute)
FAILURES = {**schemas.USUAL, **schemas.failures(404, 503)}


@router.post("/v1/search", summary="Find products", response_model=schemas.SearchOut, responses=FAILURES)
def search(sent: schemas.SearchIn, server: Here, holder: Seller) -> Response:
    """Words are matched as words and as meaning, pictures as they look. 404 where no index is served."""
    finder = _finder(server)
    where = clean(sent.where) if sent.where and sent.where.strip() else None
    if sent.like is not None:
        if finder.get(clean(sent.like)) is None:
            raise ApiError(404, "no_such_product", f"the index has no product {clean(sent.like)!r}")
        found = finder.like(clean(sent.like), sent.count, where)
        return answer({"products": found, "total": finder.count(where), "missing_images": []})
    words = clean(sent.query).strip()
    if not words and not sent.images:
        raise ApiError(
            422, "bad_search", "search by words (`query`), a picture (`images`) or a product (`like`)"
        )
    try:
        told, missing = server.items.product(schemas.ProductIn.model_validate({"images": sent.images}))
    except ItemError as error:
        raise ApiError(422, error.code, str(error)) from error
    if missing and not words and not told.images:
        raise ApiError(422, "bad_picture", str(missing[0]))
    product = Product("query", {finder.index.text_field: words} if words else {}, told.images)
    missing_images = [one.to_dict() for one in missing]
    found = finder.search(product, sent.count, where)
    return answer({"products": found, "total": finder.count(where), "missing_images": missing_images})


@router.get(
    "/v1/search/pictures/{product_id:path}",
    summary="The picture of a product that was found",
    response_class=Response,
    responses=FAILURES,
)
def picture(
    product_id: Annotated[str, Path(max_length=200, pattern=schemas.NO_NUL)], server: Here, holder: Seller
) -> Response:
    """Its first one, as a small JPEG."""
    data = _finder(server).picture(clean(product_id))
    if data is None:
        raise ApiError(404, "no_such_picture", "there is no such picture")
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _finder(server: Server) -> Finder:
    if server.finder is not None:
        return server.finder
    message = "no index is served: `aisle index` makes one, and `aisle serve --index` takes it"
    raise ApiError(404, "no_index", message)
