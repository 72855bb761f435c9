"""ASGI middleware: request ids, limits, security headers, metrics and one log line per request."""

import asyncio
import json
import logging
import re
import time
import uuid
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aisle.server.hosts import is_address, is_origin, parse_host, same_origin
from aisle.server.loop_lag import LoopLagMonitor
from aisle.server.settings import RequestLimits
from aisle.server.telemetry import Telemetry

_log = logging.getLogger("aisle.server")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
_CLIENT_CLOSED = 499  # nginx's status for clients that did not wait
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_OPERATIONS = {"/health", "/ready", "/metrics"}
_PAGES = ("/console/", "/docs")  # never refused as busy: a page without half of its files shows nothing
# Scripts, styles and images come from this server only; inline styles are allowed, inline scripts are not.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "content-security-policy": _POLICY,
}


class RequestMiddleware:
    """Wraps the whole application.

    Args:
        app: The wrapped application.
        limits: Limits of requests.
        telemetry: Where requests are counted.
        lag_monitor: Measures the loop that the application runs in.
        hosts: Host names that requests may use; empty for any.
        origins: Origins of other sites that may send requests that write.
        proxied: Whether client addresses come from `X-Forwarded-For`.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: RequestLimits,
        telemetry: Telemetry,
        lag_monitor: LoopLagMonitor,
        hosts: frozenset[str] = frozenset(),
        origins: frozenset[str] = frozenset(),
        proxied: bool = False,
    ) -> None:
        self.app, self.limits, self.telemetry, self.lag_monitor = app, limits, telemetry, lag_monitor
        self.hosts, self.origins, self.proxied = hosts, origins, proxied
        self.body_bytes = 0  # of all requests in progress
        self.active_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        header_id = headers.get(b"x-request-id", "")
        request_id = header_id if _REQUEST_ID.match(header_id) else uuid.uuid4().hex[:16]
        scope.setdefault("state", {})["request_id"] = request_id
        body = _LimitedBody(self, receive, headers)
        sender = _Sender(send, request_id, body, self.limits.send_timeout_s)
        start = time.perf_counter()
        try:
            refusal = self._refuse(scope, headers) or self._refuse_busy(scope)
            if refusal is not None:
                await sender.fail(*refusal)
                return
            self.active_requests += 1
            try:
                await self.app(scope, body, sender)
            finally:
                self.active_requests -= 1
        except (ClientDisconnect, SlowReaderError):
            sender.status = _CLIENT_CLOSED
        except Exception:
            _log.exception("a request failed", extra={"fields": {"request_id": request_id}})
            await sender.fail(500, "internal", "the server failed; its log has the reason under this id")
        finally:
            self.body_bytes -= body.total
            self._record(scope, sender.status, time.perf_counter() - start, request_id)

    def _refuse(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, str, str] | None:
        client = scope.get("client")
        if self.proxied and client is not None and not is_address(client[0]):
            return 400, "bad_header", "X-Forwarded-For has to name an IP address"
        host = parse_host(headers.get(b"host", ""))
        if host is None and (b"host" in headers or scope.get("http_version") == "1.1"):
            return 400, "bad_header", "Host has to be one name or address, and a port at most"
        if self.hosts and (host is None or host[0] not in self.hosts):  # DNS rebinding
            return 421, "wrong_host", "this server does not answer under that name; see --allow-host"
        origin = headers.get(b"origin")
        if origin is not None and not is_origin(origin):
            return 400, "bad_header", "Origin has to be a scheme, a name and a port at most, or null"
        writes = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        is_same_origin = origin is None or same_origin(origin, host)
        if writes and not is_same_origin and origin not in self.origins:
            return 403, "foreign_origin", "pages of other sites may not write here; see --allow-origin"
        length = headers.get(b"content-length", "")
        if length.isdecimal() and int(length[:20]) > self.limits.max_body_bytes:
            return 413, "too_large", f"a request may have {self.limits.max_body_bytes:,} bytes"
        return None

    def _refuse_busy(self, scope: Scope) -> tuple[int, str, str] | None:
        path, limits = scope["path"], self.limits
        if path in _OPERATIONS or path == "/" or path.startswith(_PAGES):
            return None
        is_full = self.active_requests >= limits.max_concurrent_requests
        if not is_full and self.lag_monitor.lag_s < limits.max_loop_lag_s:
            return None
        return 503, "busy", "more comes than can be read; ask again in 1 s"

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", None) or "unknown"
        method = scope["method"] if scope["method"] in _METHODS else "other"  # clients may invent any
        self.telemetry.requests.labels(route, method, status).inc()
        self.telemetry.request_seconds.labels(route).observe(seconds)
        if scope["path"] in _OPERATIONS and status < 400:
            return
        client = scope.get("client")
        fields = {
            "request_id": request_id,
            "method": scope["method"],
            "path": scope["path"][:300],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": client[0] if client else None,
            **{k: v for k, v in scope["state"].items() if k in ("person", "products", "model")},
        }
        level = logging.WARNING if status >= 500 else logging.INFO
        _log.log(level, "request", extra={"fields": fields})


def _headers(scope: Scope) -> dict[bytes, str]:
    """By name; repeated headers are joined by commas."""
    values: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        values[name] = f"{values[name]}, {text}" if name in values else text
    return values


class SlowReaderError(Exception):
    """A client does not read its response."""


class _LimitedBody:
    """`receive` with limits on the body's size and time, and on the size of all bodies together."""

    def __init__(self, middleware: RequestMiddleware, receive: Receive, headers: dict[bytes, str]) -> None:
        self.middleware, self.receive, self.total = middleware, receive, 0
        self.deadline = asyncio.get_running_loop().time() + middleware.limits.body_timeout_s
        self.ended = headers.get(b"content-length", "0") == "0" and b"transfer-encoding" not in headers

    async def __call__(self) -> Message:
        if self.ended:  # only a disconnect can follow
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.deadline):
                message = await self.receive()
        except TimeoutError:
            raise HTTPException(408, "the request took too long to arrive") from None
        if message["type"] == "http.request":
            size, limits = len(message.get("body", b"")), self.middleware.limits
            self.total += size
            self.middleware.body_bytes += size
            self.ended = not message.get("more_body", False)
            if self.total > limits.max_body_bytes:
                raise HTTPException(413, f"a request may have {limits.max_body_bytes:,} bytes")
            if self.middleware.body_bytes > limits.max_total_body_bytes:
                text = "too much is being sent at one time; ask again in 1 s"
                raise HTTPException(503, text, {"Retry-After": "1"})
        return message


class _Sender:
    """`send` that adds headers, and closes the connection if the request was not read to its end."""

    def __init__(self, send: Send, request_id: str, body: _LimitedBody, timeout: float) -> None:
        self.send, self.request_id, self.body, self.timeout = send, request_id, body, timeout
        self.status = 0
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            headers += [
                (name.encode(), value.encode())
                for name, value in {**_HEADERS, "x-request-id": self.request_id}.items()
                if name.encode() not in present
            ]
            if not self.body.ended:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        try:
            async with asyncio.timeout(self.timeout):
                await self.send(message)
        except TimeoutError:
            raise SlowReaderError from None

    async def fail(self, status: int, code: str, text: str) -> None:
        """Send an error, unless a response has started."""
        if self.started:
            self.status = status
            return
        error: dict[str, Any] = {"code": code, "message": text, "request_id": self.request_id}
        body = json.dumps({"error": error}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 503:
            headers.append((b"retry-after", b"1"))
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})
