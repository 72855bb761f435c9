"""Authentication, roles and rate limits."""

import base64
import binascii
import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from aisle.server.errors import ApiError
from aisle.server.store.keys import ApiKey

if TYPE_CHECKING:
    from aisle.server.state import Server

COOKIE = "aisle_key"
_ANONYMOUS = ApiKey("", "anonymous", "admin")
_bearer = HTTPBearer(auto_error=False, description="A key from `aisle keys add`.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="The same, set by `POST /v1/session`.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same, as a header of its own.")
_MAX_CALLERS = 50_000
_WRONG_KEY_COST = 10  # requests


class RateLimiter:
    """A token bucket for each caller: `rate` requests a second, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def acquire(self, caller: str, cost: float = 1.0) -> float:
        """Seconds until the request would be allowed; 0 if it is."""
        current = time.monotonic()
        with self._lock:
            left, refilled = self._left.pop(caller, (float(self.burst), current))
            left = min(self.burst, left + (current - refilled) * self.rate)
            allowed = left >= min(cost, self.burst)
            self._left[caller] = (left - cost if allowed else left, current)
            if len(self._left) > _MAX_CALLERS:
                self._left.popitem(last=False)
        return 0.0 if allowed else (cost - left) / self.rate


class PreBodyCheck:
    """A dependency that `AuthFirstRoute` runs before a request's body is read."""

    async def run(self, request: Request) -> None:
        """Let the request pass, or raise an `ApiError`."""
        raise NotImplementedError


class RequireRole(PreBodyCheck):
    """Gives the API key of a request, if it has this role or a higher one.

    Raises:
        ApiError: 401, 403 or 429.
    """

    def __init__(self, role: str) -> None:
        self.role = role

    async def run(self, request: Request) -> None:
        """Find the key, and check its rate and role."""
        bearer, header, cookie = await _bearer(request), await _header(request), await _cookie(request)
        server: Server = request.app.state.server
        if server.keys.stale:
            await run_in_threadpool(server.keys.refresh)
        secret = bearer.credentials if bearer else header or _basic_password(request) or cookie
        key = server.keys.find(secret) if secret else None
        if key is None and secret is None and server.open:
            key = _ANONYMOUS
        caller = key.id if key and key.id else _address(request)
        _limit_rate(server, caller, 1 if key else _WRONG_KEY_COST)
        if key is None:
            reason = (
                "this key is unknown or revoked" if secret else "a key is needed: Authorization: Bearer …"
            )
            raise ApiError(401, "unauthorized", reason, {"WWW-Authenticate": "Bearer"})
        request.state.person = key.person
        if not key.has_role(self.role):
            raise ApiError(403, "forbidden", f"this needs a key of role {self.role}; yours is {key.role}")
        request.state.api_key = key

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        header: Annotated[str | None, Depends(_header)],
        cookie: Annotated[str | None, Depends(_cookie)],
    ) -> ApiKey:
        """The key that `run` found; the other parameters are for the OpenAPI schema."""
        return request.state.api_key


class ThrottleLogin(PreBodyCheck):
    """Slows down guessing of keys."""

    async def run(self, request: Request) -> None:
        """Count an attempt."""
        _limit_rate(request.app.state.server, f"session {_address(request)}", _WRONG_KEY_COST)

    async def __call__(self) -> None:
        """Nothing is left to do."""


def _basic_password(request: Request) -> str | None:
    """The password of HTTP Basic authentication, by which Label Studio sends a key."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, ValueError):
        return None


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"


def _limit_rate(server: "Server", caller: str, cost: float) -> None:
    wait = server.rate_limiter.acquire(caller, cost)
    if wait:
        seconds = max(1, math.ceil(wait))
        message = f"too many requests; ask again in {seconds} s"
        raise ApiError(429, "too_many", message, {"Retry-After": str(seconds)})


Seller = Annotated[ApiKey, Depends(RequireRole("seller"))]
Reviewer = Annotated[ApiKey, Depends(RequireRole("reviewer"))]
Admin = Annotated[ApiKey, Depends(RequireRole("admin"))]
LoginThrottle = Annotated[None, Depends(ThrottleLogin())]
