"""What there is to look at: who I am, products people spoke about, acceptance over time, the report."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from aisle.server import schemas
from aisle.server.items import clean
from aisle.server.problems import ApiError
from aisle.server.routes.request_io import answer
from aisle.server.routes.review import shown
from aisle.server.routing import KeyRoute
from aisle.server.search_service import address
from aisle.server.security import COOKIE, Reviewer, Seller, Tried
from aisle.server.state import Here
from aisle.server.store import feedback as kept
from aisle.server.store import reviews

router = APIRouter(tags=["explore"], route_class=KeyRoute)
FAILURES = {**schemas.USUAL, **schemas.failures(404, 503)}
# The report carries its own styles and script, and needs nothing else: it is shut off from everything.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'self'"
)


@router.get("/v1/me", summary="Whose key is this?", response_model=schemas.MeOut, responses=schemas.USUAL)
async def me(server: Here, holder: Seller) -> Response:
    """The person and the role behind a key."""
    return answer({"person": holder.person, "role": holder.role, "open": server.open})


@router.post(
    "/v1/session", summary="Keep a key in a cookie", response_model=schemas.MeOut, responses=schemas.USUAL
)
def session(sent: schemas.SessionIn, request: Request, server: Here, _: Tried) -> Response:
    """For browsers: the cookie is sent back to this server alone, and no script can read it."""
    server.keys.refresh()
    holder = server.keys.holder(sent.key)
    if holder is None:
        raise ApiError(401, "unauthorized", "this key is unknown or revoked")
    response = answer({"person": holder.person, "role": holder.role, "open": server.open})
    response.set_cookie(
        COOKIE,
        sent.key,
        max_age=30 * 86_400,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.delete("/v1/session", summary="Forget the cookie", status_code=204)
def leave() -> Response:
    """The key itself stays good."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get(
    "/v1/products",
    summary="Products people spoke about",
    response_model=schemas.ProductsOut,
    responses=FAILURES,
)
def products(
    server: Here,
    holder: Seller,
    category: Annotated[
        str | None, Query(max_length=2000, description="Only those placed at or below this category.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """The latest word on each, the latest first."""
    places = None
    if category is not None:
        tree = server.models.standing.slot(None).taxonomy
        node = tree.find(category)
        if node is None:
            raise ApiError(404, "no_such_category", f"there is no category {clean(category)[:200]!r}")
        path = tree.nodes[node].path
        places = [one.id for one in tree.nodes if one.path[: len(path)] == path]
    rows, total = kept.latest(server.store, places, limit)
    return answer(
        {
            "products": [
                {
                    "id": row["product_id"],
                    "title": row["fields"].get("title", ""),
                    "pictures": _addresses(row["pictures"]),
                    **{key: row[key] for key in ("chosen", "chosen_id", "how", "at")},
                }
                for row in rows
            ],
            "total": total,
        }
    )


@router.get(
    "/v1/products/{product_id:path}",
    summary="A product's page",
    response_model=schemas.ProductOut,
    responses=FAILURES,
)
def product(
    product_id: Annotated[str, Path(max_length=200, pattern=schemas.NO_NUL)], server: Here, holder: Seller
) -> Response:
    """Its latest text and pictures, what was said of it, its reviews, and what the index has of it. Names of
    people are shown to reviewers only."""
    name = clean(product_id)
    said, items = kept.of_product(server.store, name), reviews.of_product(server.store, name)
    hit = server.finder.get(name) if server.finder else None
    if not said and not items and hit is None:
        raise ApiError(404, "no_such_product", "nobody has said anything of this product")
    latest = max([*said, *items], key=lambda row: row["at"], default=None)
    told = ("id", "at", "role", "how", "chosen", "chosen_id", "suggested", "model", "model_id", "undone")
    told = (*told, "missing_images")
    names = ("person",) if holder.may("reviewer") else ()
    pictures = _addresses(latest["pictures"]) if latest else []
    page = {
        "id": product_id,
        "fields": latest["fields"] if latest else dict(hit.fields) if hit else {},
        "pictures": pictures or (address(hit) if hit else []),
        "feedback": [{key: row[key] for key in (*told, *names)} for row in said],
        "reviews": [shown(row, holder.person) for row in items] if holder.may("reviewer") else [],
        "indexed": hit is not None,
        "category": list(hit.category) if hit else [],
    }
    return answer(page)


@router.get("/v1/pictures/{name}", summary="A kept picture", response_class=Response, responses=FAILURES)
def picture(name: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], server: Here, holder: Seller) -> Response:
    """As JPEG; it never changes."""
    data = kept.picture(server.store, name)
    if data is None:
        raise ApiError(404, "no_such_picture", "there is no such picture")
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=31536000"})


@router.get(
    "/v1/acceptance", summary="Acceptance over time", response_model=schemas.DaysOut, responses=FAILURES
)
def acceptance(
    server: Here,
    holder: Reviewer,
    days: Annotated[int, Query(ge=1, le=3660)] = 30,
    model: Annotated[str | None, Query(max_length=200, pattern=schemas.NO_NUL)] = None,
) -> Response:
    """For each day, what people chose, and how often that was the first suggestion."""
    return answer({"days": reviews.by_day(server.store, days, clean(model) if model else None)})


@router.get("/v1/report", summary="The evaluation report, as JSON", responses=FAILURES)
def report(
    server: Here, holder: Seller, model: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """What `aisle train` or `aisle evaluate` measured of this very model."""
    found = server.models.standing.slot(model).evaluation
    if not found:
        raise ApiError(404, "no_report", "this model was not evaluated: `aisle evaluate RUN FILE` does it")
    return answer(dict(found))


@router.get(
    "/v1/report.html", summary="The evaluation report, as a page", response_class=Response, responses=FAILURES
)
def report_page(
    server: Here, holder: Seller, model: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """Self-contained: it asks for nothing else."""
    page = server.models.standing.slot(model).report
    if page is None:
        raise ApiError(404, "no_report", "this model was not evaluated: `aisle evaluate RUN FILE` does it")
    headers = {"Content-Security-Policy": _REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return Response(page.read_bytes(), media_type="text/html; charset=utf-8", headers=headers)


def _addresses(hashes: list[str]) -> list[str]:
    return [f"/v1/pictures/{name}" for name in hashes]
