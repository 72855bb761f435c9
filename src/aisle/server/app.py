"""The FastAPI application: routes, error responses, documentation and the console."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from aisle import __version__
from aisle.errors import AisleError
from aisle.server import api_docs, console
from aisle.server.errors import ApiError, ServerError
from aisle.server.hosts import is_address, parse_host
from aisle.server.mcp import route as mcp
from aisle.server.middleware import RequestMiddleware
from aisle.server.product_parsing import clean
from aisle.server.routes import (
    batches,
    classify,
    explore,
    feedback,
    keys,
    label_studio,
    mapping,
    models,
    operations,
    review,
    rules,
    search,
    taxonomy,
)
from aisle.server.routes.request_io import json_response
from aisle.server.settings import ServerSettings, is_local
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
    """The application of a started server, which it stops when it ends."""
    app = FastAPI(
        title="Aisle",
        version=__version__,
        summary="Classifies products into a shop's category tree.",
        description=api_docs.INTRODUCTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=_lifespan,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,  # names the functions of generated clients
    )
    app.state.server = server
    pages = (classify, batches, taxonomy, feedback, review, search, explore, models, rules, keys, mapping)
    for routes in (*pages, operations):
        app.include_router(routes.router)
    for protocol in (mcp, label_studio):  # of other programs, which define them
        app.include_router(protocol.router)
    api_docs.add(app)
    console.add(app)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(AisleError, _aisle_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    settings = server.settings
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(
        RequestMiddleware,
        limits=settings.limits,
        telemetry=server.telemetry,
        lag_monitor=server.lag_monitor,
        hosts=allowed_hosts(settings),
        origins=frozenset(settings.origins),
        proxied=bool(settings.proxies),
    )
    return app


def allowed_hosts(settings: ServerSettings) -> frozenset[str]:
    """Host names that requests may use; empty for any, which is the default for a public address.

    Raises:
        ServerError: A given name is malformed.
    """
    if settings.hosts or is_local(settings.host):
        return frozenset({*_LOCAL, *map(_host_name, (settings.host, *settings.hosts))})
    return frozenset()


def _host_name(name: str) -> str:
    host = parse_host(f"[{name}]" if is_address(name) and ":" in name else name)
    if host is None:
        raise ServerError(f"--allow-host {name}: give a name such as shop.example")
    return host[0]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    server: Server = app.state.server
    tasks = [asyncio.create_task(_prune_hourly(server)), asyncio.create_task(server.lag_monitor.run())]
    async with mcp.running(app, server):
        yield
    for task in tasks:
        task.cancel()
    await run_in_threadpool(server.stop)


async def _prune_hourly(server: Server) -> None:
    while server.settings.keep_days is not None:
        try:
            rows = await run_in_threadpool(prune, server.store, server.settings.keep_days)
            _log.info("deleted old rows", extra={"fields": {"rows": rows}})
        except StoreError as error:
            _log.warning("old rows were not deleted: %s", error)
        await asyncio.sleep(3600)


def _error_response(
    request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> Response:
    request_id = getattr(request.state, "request_id", None)
    error = {"code": code, "message": clean(message), "request_id": request_id}
    return json_response({"error": error}, headers, status)


def _api_error(request: Request, error: Any) -> Response:
    return _error_response(request, error.status, error.code, str(error), error.headers)


def _store_error(request: Request, error: Any) -> Response:
    _log.error("the store failed", extra={"fields": {"why": str(error)}})
    message = f"nothing was kept: {error.public}"
    return _error_response(request, 503, "store_unavailable", message, {"Retry-After": "5"})


def _aisle_error(request: Request, error: Any) -> Response:
    return _error_response(request, 422, "bad_request", str(error))


def _validation_error(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    status = 400 if first["type"] == "json_invalid" else 422
    message = f"{where}: {first['msg']}" if where else first["msg"]
    return _error_response(request, status, "bad_request", message)


def _http_error(request: Request, error: Any) -> Response:
    code = getattr(error, "code", None) or _CODES.get(error.status_code, "error")
    return _error_response(request, error.status_code, code, str(error.detail), dict(error.headers or {}))
