"""Who may do what, and how often."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
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


def allow(role: str) -> Callable[..., Awaitable[Holder]]:
    """A dependency: whoever calls, if theirs is this role or one above it.

    Raises:
        ApiError: 401, 403 or 429.
    """

    async def holder(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        header: Annotated[str | None, Depends(_header)],
        cookie: Annotated[str | None, Depends(_cookie)],
    ) -> Holder:
        server: Server = request.app.state.server
        if server.keys.stale:
            await run_in_threadpool(server.keys.refresh)
        client = request.client.host if request.client else "?"
        key = bearer.credentials if bearer else header or cookie
        found = server.keys.holder(key) if key else None
        if found is None and key is None and server.open:
            found = ANYONE
        caller = found.id if found and found.id else client
        wait = server.bucket.take(caller, 1 if found else _WRONG_KEYS)
        if wait:
            seconds = max(1, math.ceil(wait))
            headers = {"Retry-After": str(seconds)}
            raise ApiError(429, "too_many", f"too many requests; ask again in {seconds} s", headers)
        if found is None:
            said = "this key is unknown or revoked" if key else "a key is needed: Authorization: Bearer …"
            raise ApiError(401, "unauthorized", said, {"WWW-Authenticate": "Bearer"})
        request.state.person = found.person
        if not found.may(role):
            raise ApiError(403, "forbidden", f"this needs a key of role {role}; yours is {found.role}")
        return found

    return holder


Seller = Annotated[Holder, Depends(allow("seller"))]
Reviewer = Annotated[Holder, Depends(allow("reviewer"))]
Admin = Annotated[Holder, Depends(allow("admin"))]
