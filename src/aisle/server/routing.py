"""Routes that ask for the key first, and then read a body of bounded size away from the event loop.

FastAPI reads and parses a body before it solves dependencies: whoever had no key could make the server parse
whatever was sent. A request is checked here before any of its body is read.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from aisle.server.problems import BodyError
from aisle.server.security import Check
from aisle.server.settings import KIB, MIB, Limits

_QUICK = 64 * KIB  # bytes of JSON that are parsed sooner than they are handed to a thread
_SMALL = 64 * KIB
_SMALL_SECONDS = 5.0  # in which a small body must have arrived
_VALUES = 10_000  # of a request about one thing
_PIECE = 256 * KIB
# What a body may have, where it is neither small nor has pictures in it.
_BYTES = {"/v1/session": 4 * KIB, "/v1/suggest": 4 * MIB}
_PICTURES = frozenset({"/v1/classify", "/v1/review/items", "/v1/feedback", "/v1/search"})
_MANY = frozenset({"/v1/classify", "/v1/review/items"})


class BoundedRequest(Request):
    """A request whose body has at most `size` bytes, and as JSON at most `values` values."""

    def __init__(self, request: Request, size: int, values: int, seconds: float | None) -> None:
        super().__init__(request.scope, _bounded(request.receive, size, seconds))
        self._size, self._values = size, values
        self._parsed: list[Any] = []

    def check_length(self) -> None:
        """Before anything is read.

        Raises:
            BodyError: 413, as it says itself that it is larger.
        """
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._size:
            raise too_large(self._size)

    async def json(self) -> Any:
        """The body's JSON.

        Raises:
            BodyError: 400, as it is none; 413, as it has too many values.
        """
        if not self._parsed:
            self._parsed.append(await self.parse(await self.body()))
        return self._parsed[0]

    async def parse(self, body: bytes) -> Any:
        """JSON within this request's limits, parsed in a thread where it may take long.

        Raises:
            BodyError: as `json`.
        """
        if len(body) <= _QUICK:
            return parsed(body, self._values)
        return await run_in_threadpool(parsed, body, self._values)


class KeyRoute(APIRoute):
    """Runs the checks (`Check`) among its dependencies before it reads a body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()
        calls = [dependency.call for dependency in self.dependant.dependencies]
        checks = [call for call in calls if isinstance(call, Check)]
        path = self.path_format

        async def checked(request: Request) -> Response:
            for check in checks:
                await check.run(request)
            bounded = _request(request, path, request.app.state.server.settings.limits)
            bounded.check_length()
            return await handle(bounded)

        return checked


def _request(request: Request, path: str, limits: Limits) -> BoundedRequest:
    size = limits.body if path in _PICTURES else min(_BYTES.get(path, _SMALL), limits.body)
    values = limits.values if path in _MANY else min(_VALUES, limits.values)
    return BoundedRequest(request, size, values, _SMALL_SECONDS if size <= _SMALL else None)


def _bounded(receive: Receive, size: int, seconds: float | None) -> Receive:
    total, until = 0, None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def bounded() -> Message:
        nonlocal total, until
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise BodyError(408, "too_slow", "the request took too long to arrive") from None
        total += len(message.get("body", b""))
        if total > size:
            raise too_large(size)
        if not message.get("more_body", False):
            until = None  # what comes now is only the caller hanging up
        return message

    return bounded


def too_large(size: int) -> BodyError:
    """The answer to a body of more than `size` bytes."""
    return BodyError(413, "too_large", f"a request may have {size:,} bytes here")


def parsed(body: bytes, values: int) -> Any:
    """JSON of at most so many values. One call parses it all and lets no other thread run meanwhile, so
    what would take long is found before.

    Raises:
        BodyError: 400, as it is none; 413, as it has more values.
    """
    if values_in(body, values) > values:
        raise BodyError(413, "too_large", f"the JSON of a request may have {values:,} values here")
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)
    except RecursionError:
        raise BodyError(400, "bad_json", "the body is nested too deeply") from None
    except ValueError as error:
        raise BodyError(400, "bad_json", f"the body is not JSON: {str(error)[:200]}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def values_in(body: bytes, enough: int) -> int:
    """How many values and keys this JSON has, counted up to about `enough`."""
    found, start, inside = 1, 0, False
    while start < len(body) and found <= enough:
        end = start + _PIECE
        piece = body[start:end]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # an escape is not cut in two
            end += 1
            piece = body[start:end]
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[inside::2])
        found += sum(map(outside.count, (b",", b":", b"[", b"{")))
        inside ^= len(parts) % 2 == 0
        start = end
    return found
