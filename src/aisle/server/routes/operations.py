"""GET /health, /ready and /metrics: for whoever runs the server. No key is asked for."""

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from aisle.server import schemas, telemetry
from aisle.server.routes.request_io import answer
from aisle.server.routing import KeyRoute
from aisle.server.state import Here

router = APIRouter(tags=["operations"], route_class=KeyRoute)


@router.get("/health", summary="Is the process alive?")
async def health() -> dict[str, str]:
    """It is, if it answers."""
    return {"status": "ok"}


@router.get(
    "/ready",
    summary="Can it answer requests?",
    response_model=schemas.ReadyOut,
    responses={503: {"model": schemas.ReadyOut, "description": "Not now"}},
)
async def ready(server: Here) -> Response:
    """200 where models, store and queue are there and it is not being stopped; else 503."""
    lost = await run_in_threadpool(server.store.problem)
    checks = {
        "models": bool(server.models.standing.slots),
        "batches": server.batcher.alive,
        "store": lost is None,
        "staying": not server.draining,
    }
    response = answer({"ready": all(checks.values()), "checks": checks, "problem": lost and lost.public})
    response.status_code = 200 if all(checks.values()) else 503
    return response


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(server: Here) -> Response:
    """In Prometheus's text format."""
    return Response(server.telemetry.page(), media_type=telemetry.CONTENT_TYPE)
