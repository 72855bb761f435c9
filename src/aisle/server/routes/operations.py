"""GET /health, /ready and /metrics, which need no key."""

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from aisle.server import telemetry
from aisle.server.routes.request_io import json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.operations import ReadyOut
from aisle.server.state import ServerDep

router = APIRouter(tags=["operations"], route_class=AuthFirstRoute)


@router.get("/health", summary="Liveness")
async def health() -> dict[str, str]:
    """200 while the process is alive."""
    return {"status": "ok"}


@router.get(
    "/ready",
    summary="Readiness",
    response_model=ReadyOut,
    responses={503: {"model": ReadyOut, "description": "Not ready"}},
)
async def ready(server: ServerDep) -> Response:
    """200 if models, batcher and store work and the server is not stopping; else 503."""
    lost = await run_in_threadpool(server.store.problem)
    checks = {
        "models": bool(server.registry.state.models),
        "batcher": server.batcher.alive,
        "store": lost is None,
        "accepting": not server.draining,
    }
    ok = all(checks.values())
    problem = lost and lost.public
    return json_response({"ready": ok, "checks": checks, "problem": problem}, status=200 if ok else 503)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(server: ServerDep) -> Response:
    """In Prometheus's text format."""
    return Response(server.telemetry.page(), media_type=telemetry.CONTENT_TYPE)
