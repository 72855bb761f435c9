"""The application: parts, routes, errors of one shape, documentation without an outside request."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from aisle import __version__
from aisle.errors import AisleError
from aisle.server import console, documentation
from aisle.server.items import clean
from aisle.server.middleware import Guard
from aisle.server.names import host_of, is_address
from aisle.server.problems import ApiError, ServerError
from aisle.server.routes import classify, explore, feedback, models, operations, review, search, taxonomy
from aisle.server.routes.request_io import answer
from aisle.server.settings import Settings, is_local
from aisle.server.state import Server
from aisle.server.store import StoreError
from aisle.server.store.retention import prune

_log = logging.getLogger("aisle.server")
_LOCAL = ("127.0.0.1", "localhost", "::1")
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "wrong_method",
    408: "too_slow",
    413: "too_large",
    415: "unsupported",
    503: "busy",
}


def create_app(server: Server) -> FastAPI:
    """The API of a started server; it is stopped when the application ends."""
    app = FastAPI(
        title="Aisle",
        version=__version__,
        summary="Where products belong in a shop's category tree.",
        description=documentation.INTRODUCTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=_life,
        separate_input_output_schemas=False,
    )
    app.state.server = server
    for routes in (classify, taxonomy, feedback, review, search, explore, models, operations):
        app.include_router(routes.router)
    documentation.add(app)
    console.add(app)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(AisleError, _aisle_error)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http_error)
    settings = server.settings
    if settings.origins:
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(
        Guard,
        limits=settings.limits,
        telemetry=server.telemetry,
        pulse=server.pulse,
        hosts=hosts_of(settings),
        origins=frozenset(settings.origins),
        proxied=bool(settings.proxies),
    )
    return app


def hosts_of(settings: Settings) -> frozenset[str]:
    """The names it answers to: its own and those given; any, where it listens to all and none is given.

    Raises:
        ServerError: what was given is no name.
    """
    if settings.hosts or is_local(settings.host):
        return frozenset({*_LOCAL, *map(_bare, (settings.host, *settings.hosts))})
    return frozenset()


def _bare(name: str) -> str:
    found = host_of(f"[{name}]" if is_address(name) and ":" in name else name)
    if found is None:
        raise ServerError(f"--allow-host {name}: give a name such as shop.example")
    return found[0]


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    server: Server = app.state.server
    tasks = [asyncio.create_task(_upkeep(server)), asyncio.create_task(server.pulse.beat())]
    yield
    for task in tasks:
        task.cancel()
    await run_in_threadpool(server.stop)


async def _upkeep(server: Server) -> None:
    """Once an hour, delete what is older than it may be."""
    while server.settings.keep_days is not None:
        try:
            gone = await run_in_threadpool(prune, server.store, server.settings.keep_days)
            _log.info("deleted what is old", extra={"told": {"rows": gone}})
        except StoreError as error:
            _log.warning("nothing old was deleted: %s", error)
        await asyncio.sleep(3600)


def _failure(
    request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> Response:
    request_id = getattr(request.state, "request_id", None)
    fault = {"error": {"code": code, "message": clean(message), "request_id": request_id}}
    response = answer(fault, headers)
    response.status_code = status
    return response


def _api_error(request: Request, error: Any) -> Response:
    return _failure(request, error.status, error.code, str(error), error.headers)


def _store_error(request: Request, error: Any) -> Response:
    _log.error("the store failed", extra={"told": {"why": str(error)}})
    message = f"nothing was kept: {error.public}"
    return _failure(request, 503, "store_unavailable", message, {"Retry-After": "5"})


def _aisle_error(request: Request, error: Any) -> Response:
    return _failure(request, 422, "bad_request", str(error))


def _not_valid(request: Request, error: Any) -> Response:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"] if part != "body")
    status = 400 if fault["type"] == "json_invalid" else 422
    return _failure(request, status, "bad_request", f"{where}: {fault['msg']}" if where else fault["msg"])


def _http_error(request: Request, error: Any) -> Response:
    code = getattr(error, "code", None) or _CODES.get(error.status_code, "error")
    return _failure(request, error.status_code, code, str(error.detail), dict(error.headers or {}))
