"""Who may do what, and how often."""

import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from aisle.server.problems import ApiError
from aisle.server.store.keys import Holder

if TYPE_CHECKING:
    from aisle.server.state import Server

ANYONE = Holder("", "anonymous", "admin")
_bearer = HTTPBearer(auto_error=False, description="A key from `aisle keys add`.")
COOKIE = "aisle_key"
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="The same, kept by `POST /v1/session`.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same, as a header of its own.")
_BUCKETS = 50_000  # callers remembered at once
_WRONG_KEYS = 10  # how many requests a wrong key costs


class Bucket:
    """A token bucket for each caller: `rate` requests a second, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, cost: float = 1.0) -> float:
        """Seconds to wait before this request would be allowed; 0: it is."""
        now = time.monotonic()
        with self._lock:
            left, at = self._left.pop(caller, (float(self.burst), now))
            left = min(self.burst, left + (now - at) * self.rate)
            allowed = left >= min(cost, self.burst)
            self._left[caller] = (left - cost if allowed else left, now)
            if len(self._left) > _BUCKETS:
                self._left.popitem(last=False)
        return 0.0 if allowed else (cost - left) / self.rate


class Check:
    """A dependency that is asked before a request's body is read (`KeyRoute`)."""

    async def run(self, request: Request) -> None:
        """Let the request through.

        Raises:
            ApiError: it may not.
        """
        raise NotImplementedError


class Allow(Check):
    """Gives whoever calls, if theirs is this role or one above it.

    Raises:
        ApiError: 401, 403 or 429.
    """

    def __init__(self, role: str) -> None:
        self.role = role

    async def run(self, request: Request) -> None:
        """Find out who calls, and whether they may."""
        bearer, header, cookie = await _bearer(request), await _header(request), await _cookie(request)
        server: Server = request.app.state.server
        if server.keys.stale:
            await run_in_threadpool(server.keys.refresh)
        key = bearer.credentials if bearer else header or cookie
        found = server.keys.holder(key) if key else None
        if found is None and key is None and server.open:
            found = ANYONE
        caller = found.id if found and found.id else client_of(request)
        throttle(server, caller, 1 if found else _WRONG_KEYS)
        if found is None:
            said = "this key is unknown or revoked" if key else "a key is needed: Authorization: Bearer …"
            raise ApiError(401, "unauthorized", said, {"WWW-Authenticate": "Bearer"})
        request.state.person = found.person
        if not found.may(self.role):
            raise ApiError(403, "forbidden", f"this needs a key of role {self.role}; yours is {found.role}")
        request.state.holder = found

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        header: Annotated[str | None, Depends(_header)],
        cookie: Annotated[str | None, Depends(_cookie)],
    ) -> Holder:
        """Whoever was let through; the other parameters are for the documentation."""
        return request.state.holder


class Attempt(Check):
    """Slows down whoever tries keys."""

    async def run(self, request: Request) -> None:
        """Count this attempt."""
        throttle(request.app.state.server, f"session {client_of(request)}", _WRONG_KEYS)

    async def __call__(self) -> None:
        """Counted already."""


def client_of(request: Request) -> str:
    """The address of whoever calls."""
    return request.client.host if request.client else "?"


def throttle(server: "Server", caller: str, cost: float) -> None:
    """Take this request off what the caller may ask for.

    Raises:
        ApiError: 429.
    """
    wait = server.bucket.take(caller, cost)
    if wait:
        seconds = max(1, math.ceil(wait))
        headers = {"Retry-After": str(seconds)}
        raise ApiError(429, "too_many", f"too many requests; ask again in {seconds} s", headers)


Seller = Annotated[Holder, Depends(Allow("seller"))]
Reviewer = Annotated[Holder, Depends(Allow("reviewer"))]
Admin = Annotated[Holder, Depends(Allow("admin"))]
Tried = Annotated[None, Depends(Attempt())]
