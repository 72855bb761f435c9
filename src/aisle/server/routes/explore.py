"""The console's session, products with feedback, acceptance over time, and the evaluation report."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from aisle.server.errors import ApiError
from aisle.server.product_parsing import clean
from aisle.server.routes.request_io import json_response
from aisle.server.routes.review import image_urls, item_json
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import NO_NUL, error_responses
from aisle.server.schemas.explore import DaysOut, MeOut, ProductOut, ProductsOut, SessionIn
from aisle.server.search_service import hit_image_urls
from aisle.server.security import COOKIE, LoginThrottle, Reviewer, Seller
from aisle.server.state import ServerDep
from aisle.server.store import feedback, reviews

router = APIRouter(tags=["explore"], route_class=AuthFirstRoute, responses=error_responses(404))
_FEEDBACK_KEYS = (
    *("id", "at", "role", "how", "chosen", "chosen_id", "suggested", "model", "model_id", "undone"),
    "missing_images",
)
# The report has inline styles and scripts, and is isolated from everything else.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'self'"
)
ModelName = Annotated[str | None, Query(max_length=200)]


@router.get("/v1/me", summary="The key's person and role", response_model=MeOut)
async def me(server: ServerDep, key: Seller) -> Response:
    """The person and the role behind a key."""
    return json_response({"person": key.person, "role": key.role, "open": server.open})


@router.post("/v1/session", summary="Sign in", response_model=MeOut)
def sign_in(sent: SessionIn, request: Request, server: ServerDep, _: LoginThrottle) -> Response:
    """Stores the key in a cookie that only this server gets and no script can read."""
    server.keys.refresh()
    key = server.keys.find(sent.key)
    if key is None:
        raise ApiError(401, "unauthorized", "this key is unknown or revoked")
    response = json_response({"person": key.person, "role": key.role, "open": server.open})
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, sent.key, max_age=30 * 86_400, httponly=True, samesite="strict", secure=secure
    )
    return response


@router.delete("/v1/session", summary="Sign out", status_code=204)
def sign_out() -> Response:
    """Deletes the cookie; the key stays valid."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get("/v1/products", summary="Products with feedback", response_model=ProductsOut)
def products(
    server: ServerDep,
    key: Seller,
    category: Annotated[
        str | None, Query(max_length=2000, description="Only those chosen at or below this category.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """The latest choice for each product, the latest first."""
    ids = None
    if category is not None:
        tree = server.registry.state.get().taxonomy
        node = tree.find(category)
        if node is None:
            raise ApiError(404, "no_such_category", f"there is no category {clean(category)[:200]!r}")
        path = tree.nodes[node].path
        ids = [one.id for one in tree.nodes if one.path[: len(path)] == path]
    rows, total = feedback.latest(server.store, ids, limit)
    product_rows = [
        {
            "id": row["product_id"],
            "title": row["fields"].get("title", ""),
            "images": image_urls(row),
            **{name: row[name] for name in ("chosen", "chosen_id", "how", "at")},
        }
        for row in rows
    ]
    return json_response({"products": product_rows, "total": total})


@router.get("/v1/products/{product_id:path}", summary="One product", response_model=ProductOut)
def product(
    product_id: Annotated[str, Path(max_length=200, pattern=NO_NUL)], server: ServerDep, key: Seller
) -> Response:
    """Its latest texts and images, its feedback and reviews, and its entry in the index. Only reviewers see
    names of people."""
    name, is_reviewer = clean(product_id), key.has_role("reviewer")
    events, items = feedback.of_product(server.store, name), reviews.of_product(server.store, name)
    hit = server.search.get(name) if server.search else None
    if not events and not items and hit is None:
        raise ApiError(404, "no_such_product", "nothing is known of this product")
    latest: dict[str, Any] | None = max([*events, *items], key=lambda row: row["at"], default=None)
    names = (*_FEEDBACK_KEYS, "person") if is_reviewer else _FEEDBACK_KEYS
    return json_response(
        {
            "id": product_id,
            "fields": latest["fields"] if latest else dict(hit.fields) if hit else {},
            "images": (image_urls(latest) if latest else []) or (hit_image_urls(hit) if hit else []),
            "feedback": [{name: row[name] for name in names} for row in events],
            "reviews": [item_json(row, key.person) for row in items] if is_reviewer else [],
            "indexed": hit is not None,
            "category": list(hit.category) if hit else [],
        }
    )


@router.get("/v1/images/{name}", summary="A stored image", response_class=Response)
def image(name: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], server: ServerDep, key: Seller) -> Response:
    """A JPEG that never changes."""
    data = feedback.image(server.store, name)
    if data is None:
        raise ApiError(404, "no_such_image", "there is no such image")
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=31536000"})


@router.get("/v1/acceptance", summary="Acceptance over time", response_model=DaysOut)
def acceptance(
    server: ServerDep,
    key: Reviewer,
    days: Annotated[int, Query(ge=1, le=3660)] = 30,
    model: Annotated[str | None, Query(max_length=200, pattern=NO_NUL)] = None,
) -> Response:
    """For each day, the choices by kind and the share of first suggestions."""
    return json_response({"days": reviews.by_day(server.store, days, clean(model) if model else None)})


@router.get("/v1/report", summary="The evaluation report as JSON")
def report(server: ServerDep, key: Seller, model: ModelName = None) -> Response:
    """What `aisle train` or `aisle evaluate` measured of this model."""
    evaluation = server.registry.state.get(model).evaluation
    if not evaluation:
        raise _no_report()
    return json_response(dict(evaluation))


@router.get("/v1/report.html", summary="The evaluation report as a page", response_class=Response)
def report_page(server: ServerDep, key: Seller, model: ModelName = None) -> Response:
    """A self-contained page."""
    page = server.registry.state.get(model).report
    if page is None:
        raise _no_report()
    headers = {"Content-Security-Policy": _REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return Response(page.read_bytes(), media_type="text/html; charset=utf-8", headers=headers)


def _no_report() -> ApiError:
    return ApiError(404, "no_report", "this model was not evaluated: `aisle evaluate RUN FILE` does it")
