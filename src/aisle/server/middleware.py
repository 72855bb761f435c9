"""What happens to every request before and after its route: an id, limits, headers, one line in the log."""

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from aisle.server.loop_lag import Pulse
from aisle.server.names import host_of, is_address, is_origin, same_place
from aisle.server.settings import Limits
from aisle.server.telemetry import Telemetry

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("aisle.server")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
_GONE = 499  # as nginx counts callers who did not wait
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_QUIET = {"/health", "/ready", "/metrics"}
# Small files: a page that gets half of its parts shows nothing, not even why.
_PAGES = ("/console/", "/docs")
# Pages, styles and pictures come from this server alone; styles may stand in a page, scripts may not.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "content-security-policy": POLICY,
}


def _headers(scope: Scope) -> dict[bytes, str]:
    """By name; what came several times is joined, as it may be for any header that has only one value."""
    given: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        given[name] = f"{given[name]}, {text}" if name in given else text
    return given


class Guard:
    """Wraps the whole application.

    pulse: of the loop it runs in. hosts: the names this server answers to (none: any). origins: of pages
    elsewhere that may write to it. proxied: whether callers' addresses come from `X-Forwarded-For`.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        telemetry: Telemetry,
        pulse: Pulse,
        hosts: frozenset[str] = frozenset(),
        origins: frozenset[str] = frozenset(),
        proxied: bool = False,
    ) -> None:
        self.app, self.limits, self.telemetry, self.pulse = app, limits, telemetry, pulse
        self.hosts, self.origins, self.proxied = hosts, origins, proxied
        self.held = 0  # bytes of bodies of requests under way
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = _headers(scope)
        asked = given.get(b"x-request-id", "")
        request_id = asked if _REQUEST_ID.match(asked) else uuid.uuid4().hex[:16]
        scope.setdefault("state", {})["request_id"] = request_id
        body = _Body(self, receive, given)
        sending = _Sending(send, request_id, body, self.limits.send_seconds)
        began = time.perf_counter()
        try:
            refused = self._refuse(scope, given) or self._busy(scope)
            if refused is not None:
                await sending.fail(*refused)
                return
            self.under_way += 1
            try:
                await self.app(scope, body, sending)
            finally:
                self.under_way -= 1
        except (ClientDisconnect, SlowReaderError):
            sending.status = _GONE
        except Exception:
            _log.exception("a request failed", extra={"told": {"request_id": request_id}})
            await sending.fail(500, "internal", "the server failed; its log has the reason under this id")
        finally:
            self.held -= body.total
            self._note(scope, sending.status, time.perf_counter() - began, request_id)

    def _refuse(self, scope: Scope, given: dict[bytes, str]) -> tuple[int, str, str] | None:
        client = scope.get("client")
        if self.proxied and client is not None and not is_address(client[0]):
            return 400, "bad_header", "X-Forwarded-For has to name an IP address"
        host = host_of(given.get(b"host", ""))
        if host is None and (b"host" in given or scope.get("http_version") == "1.1"):
            return 400, "bad_header", "Host has to be one name or address, and a port at most"
        if self.hosts and (host is None or host[0] not in self.hosts):
            # DNS rebinding: a strange name for this very server
            return 421, "wrong_host", "this server does not answer under that name; see --allow-host"
        origin = given.get(b"origin")
        if origin is not None and not is_origin(origin):
            return 400, "bad_header", "Origin has to be a scheme, a name and a port at most, or null"
        writes = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        own = origin is None or same_place(origin, host)
        if writes and not own and origin not in self.origins:
            return 403, "foreign_origin", "pages of other sites may not write here; see --allow-origin"
        length = given.get(b"content-length", "")
        if length.isdecimal() and int(length[:20]) > self.limits.body:
            return 413, "too_large", f"a request may have {self.limits.body:,} bytes"
        return None

    def _busy(self, scope: Scope) -> tuple[int, str, str] | None:
        path = scope["path"]
        if path in _QUIET or path == "/" or path.startswith(_PAGES):
            return None
        if self.under_way < self.limits.at_once and self.pulse.late < self.limits.late:
            return None
        return 503, "busy", "more comes than can be read; ask again in 1 s"

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", None) or "unknown"
        method = scope["method"] if scope["method"] in _METHODS else "other"  # callers may invent any number
        self.telemetry.requests.labels(route, method, status).inc()
        self.telemetry.seconds.labels(route).observe(seconds)
        if scope["path"] in _QUIET and status < 400:
            return
        client = scope.get("client")
        told = {
            "request_id": request_id,
            "method": scope["method"],
            "path": scope["path"][:300],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": client[0] if client else None,
            **{k: v for k, v in scope["state"].items() if k in ("person", "products", "model")},
        }
        _log.log(logging.WARNING if status >= 500 else logging.INFO, "request", extra={"told": told})


class SlowReaderError(Exception):
    """A caller does not read what it asked for."""


class _Body:
    """Receives no more than a body may have, no longer than it may take, and no more of all callers' bodies
    at one time than there is room for."""

    def __init__(self, guard: Guard, receive: Receive, given: dict[bytes, str]) -> None:
        self.guard, self.receive = guard, receive
        self.total, self.until = 0, asyncio.get_running_loop().time() + guard.limits.body_seconds
        self.ended = given.get(b"content-length", "0") == "0" and b"transfer-encoding" not in given

    async def __call__(self) -> Message:
        if self.ended:  # what comes now is only the caller hanging up
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.until):
                message = await self.receive()
        except TimeoutError:
            raise HTTPException(408, "the request took too long to arrive") from None
        if message["type"] == "http.request":
            size, limits = len(message.get("body", b"")), self.guard.limits
            self.total += size
            self.guard.held += size
            self.ended = not message.get("more_body", False)
            if self.total > limits.body:
                raise HTTPException(413, f"a request may have {limits.body:,} bytes")
            if self.guard.held > limits.bodies:
                message = "too much is being sent at one time; ask again in 1 s"
                raise HTTPException(503, message, {"Retry-After": "1"})
        return message


class _Sending:
    """Sends what the application answers, with the headers that every answer has. A connection whose request
    was not read to its end is closed: nothing else can come over it."""

    def __init__(self, send: Send, request_id: str, body: _Body, seconds: float) -> None:
        self.send, self.request_id, self.body, self.seconds = send, request_id, body, seconds
        self.status = 0
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = list(message.get("headers", ()))
            have = {name.lower() for name, _ in headers}
            headers += [
                (name.encode(), value.encode())
                for name, value in {**HEADERS, "x-request-id": self.request_id}.items()
                if name.encode() not in have
            ]
            if not self.body.ended:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        try:
            async with asyncio.timeout(self.seconds):
                await self.send(message)
        except TimeoutError:
            raise SlowReaderError from None

    async def fail(self, status: int, code: str, text: str) -> None:
        """Answer with an error, unless an answer is under way."""
        if self.started:
            self.status = status
            return
        fault = {"error": {"code": code, "message": text, "request_id": self.request_id}}
        body = json.dumps(fault).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 503:
            headers.append((b"retry-after", b"1"))
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})
