"""Routes that check the key first and then read a bounded body away from the event loop.

FastAPI reads and parses a body before it solves dependencies, so that clients without a key could make the
server parse anything.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from aisle.server.errors import BodyError
from aisle.server.security import PreBodyCheck
from aisle.server.settings import KIB, MIB, RequestLimits

INLINE_BYTES = 64 * KIB  # of JSON that are parsed sooner than they are handed to a thread
_SMALL_BODY = 64 * KIB
_SMALL_BODY_TIMEOUT = 5.0  # seconds
_MAX_VALUES = 10_000  # values of a request with one product
_CHUNK = 256 * KIB
# A labeling configuration holds the whole tree, and a task its images.
_LABEL_STUDIO = ("/label-studio/predict", "/label-studio/setup", "/label-studio/webhook")
# Routes whose body is not limited to `_SMALL_BODY`: some by size, those with images or files by the settings.
_SIZES = {
    "/v1/session": 4 * KIB,
    "/v1/suggest": 4 * MIB,
    "/v1/rules": 16 * MIB,
    "/mcp": 4 * MIB,
    **dict.fromkeys(_LABEL_STUDIO, 16 * MIB),
}
_LARGE = frozenset({"/v1/classify", "/v1/review/items", "/v1/feedback", "/v1/search", "/v1/batches"})
_MANY_PRODUCTS = frozenset({"/v1/classify", "/v1/review/items", "/mcp", *_LABEL_STUDIO})


class BoundedRequest(Request):
    """A request whose body has at most `size` bytes, and as JSON at most `max_values` values."""

    def __init__(self, request: Request, size: int, max_values: int, timeout: float | None) -> None:
        super().__init__(request.scope, _bounded(request.receive, size, timeout))
        self._size, self._max_values = size, max_values
        self._parsed: list[Any] = []

    def check_length(self) -> None:
        """Refuse by `Content-Length`, before anything is read.

        Raises:
            BodyError: 413.
        """
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._size:
            raise _too_large(self._size)

    async def json(self) -> Any:
        """The body's JSON, parsed in a thread if it is large.

        Raises:
            BodyError: 400 if it is malformed, 413 if it has too many values.
        """
        if not self._parsed:
            body = await self.body()
            if len(body) <= INLINE_BYTES:
                self._parsed.append(parse_json(body, self._max_values))
            else:
                self._parsed.append(await run_in_threadpool(parse_json, body, self._max_values))
        return self._parsed[0]


class AuthFirstRoute(APIRoute):
    """Runs the `PreBodyCheck`s among its dependencies before it reads a body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of a request."""
        handle = super().get_route_handler()
        calls = [dependency.call for dependency in self.dependant.dependencies]
        checks = [call for call in calls if isinstance(call, PreBodyCheck)]
        path = self.path_format

        async def handler(request: Request) -> Response:
            for check in checks:
                await check.run(request)
            bounded = _bounded_request(request, path, request.app.state.server.settings.limits)
            bounded.check_length()
            return await handle(bounded)

        return handler


def _bounded_request(request: Request, path: str, limits: RequestLimits) -> BoundedRequest:
    size = limits.max_body_bytes
    if path not in _LARGE:
        size = min(_SIZES.get(path, _SMALL_BODY), size)
    values = limits.max_json_values
    if path not in _MANY_PRODUCTS:
        values = min(_MAX_VALUES, values)
    return BoundedRequest(request, size, values, _SMALL_BODY_TIMEOUT if size <= _SMALL_BODY else None)


def _bounded(receive: Receive, size: int, timeout: float | None) -> Receive:
    total, deadline = 0, None if timeout is None else asyncio.get_running_loop().time() + timeout

    async def bounded() -> Message:
        nonlocal total, deadline
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyError(408, "too_slow", "the request took too long to arrive") from None
        total += len(message.get("body", b""))
        if total > size:
            raise _too_large(size)
        if not message.get("more_body", False):
            deadline = None  # only a disconnect can follow
        return message

    return bounded


def _too_large(size: int) -> BodyError:
    return BodyError(413, "too_large", f"a request may have {size:,} bytes here")


def parse_json(body: bytes, max_values: int) -> Any:
    """JSON of at most so many values, counted before parsing: parsing holds the GIL for its whole time.

    Raises:
        BodyError: 400 if it is malformed, 413 if it has more values.
    """
    if _count_values(body, max_values) > max_values:
        raise BodyError(413, "too_large", f"the JSON of a request may have {max_values:,} values here")
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise BodyError(400, "bad_json", "the body is nested too deeply") from None
    except ValueError as error:
        raise BodyError(400, "bad_json", f"the body is not JSON: {str(error)[:200]}") from None


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _count_values(body: bytes, limit: int) -> int:
    """Values and keys of some JSON, counted up to about `limit`."""
    count, start, in_string = 1, 0, False
    while start < len(body) and count <= limit:
        end = start + _CHUNK
        chunk = body[start:end]
        if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2:  # never split an escape
            end += 1
            chunk = body[start:end]
        parts = chunk.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[in_string::2])
        count += sum(map(outside.count, (b",", b":", b"[", b"{")))
        in_string ^= len(parts) % 2 == 0
        start = end
    return count
