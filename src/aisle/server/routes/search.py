"""POST /v1/search: searches the served index by words, an image or a product."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from aisle.data import Product
from aisle.server.errors import ApiError, ItemError
from aisle.server.product_parsing import clean
from aisle.server.routes.request_io import json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import NO_NUL, ProductIn, error_responses
from aisle.server.schemas.search import SearchIn, SearchOut
from aisle.server.search_service import SearchService
from aisle.server.security import Seller
from aisle.server.state import Server, ServerDep

router = APIRouter(tags=["search"], route_class=AuthFirstRoute, responses=error_responses(404))


@router.post("/v1/search", summary="Find products", response_model=SearchOut)
def search(sent: SearchIn, server: ServerDep, key: Seller) -> Response:
    """Words match as words and by meaning, images by similarity. 404 if no index is served."""
    return json_response(find(server, sent))


def find(server: Server, sent: SearchIn) -> dict[str, Any]:
    """What a search finds, as JSON.

    Raises:
        ApiError: There is no index or no such product, the query is empty, or the filter is malformed.
        BusyError: Too many searches are running.
    """
    service = _service(server)
    where = clean(sent.where) if sent.where and sent.where.strip() else None
    missing_images = []
    if sent.more_like is not None:
        product_id = clean(sent.more_like)
        if service.get(product_id) is None:
            raise ApiError(404, "no_such_product", f"the index has no product {product_id!r}")
        hits = service.more_like(product_id, sent.count, where)
    else:
        words = clean(sent.query).strip()
        if not words and not sent.images:
            message = "search by words (`query`), an image (`images`) or a product (`more_like`)"
            raise ApiError(422, "bad_search", message)
        try:
            parsed, missing = server.parser.product(ProductIn.model_validate({"images": sent.images}))
        except ItemError as error:
            raise ApiError(422, error.code, str(error)) from error
        if missing and not words and not parsed.images:
            raise ApiError(422, "bad_image", str(missing[0]))
        missing_images = [image.to_dict() for image in missing]
        product = Product("query", {service.index.text_field: words} if words else {}, parsed.images)
        hits = service.search(product, sent.count, where)
    total = service.count(where)
    return {"products": hits, "total": total, "missing_images": missing_images}


@router.get("/v1/search/images/{product_id:path}", summary="A hit's thumbnail", response_class=Response)
def search_image(
    product_id: Annotated[str, Path(max_length=200, pattern=NO_NUL)], server: ServerDep, key: Seller
) -> Response:
    """The product's first image as a small JPEG."""
    data = _service(server).thumbnail(clean(product_id))
    if data is None:
        raise ApiError(404, "no_such_image", "there is no such image")
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _service(server: Server) -> SearchService:
    if server.search is not None:
        return server.search
    message = "no index is served: `aisle index` makes one, and `aisle serve --index` takes it"
    raise ApiError(404, "no_index", message)
