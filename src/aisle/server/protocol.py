"""HTTP/1.1 as uvicorn reads it with httptools, with bounds on everything around a body.

httptools keeps whatever comes: a head and the trailers of a chunked body have no end,
`h11_max_incomplete_event_size` does not reach it, and uvicorn waits for the rest of a head for ever. Here
their bytes, their number and their time are bounded, and a body that nobody reads any more is cut off.
"""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from aisle.server.settings import KIB, Limits

_LINGER = 5.0  # seconds in which a caller may read the answer to what it is still sending
_FLUSH = 30.0  # seconds in which a caller must have read the last answer of a connection
_PIPELINE = 16  # requests that may wait for the one before them on a connection


class _Transport:
    """uvicorn's transport. Closing it while a request is still arriving first lets its sender read the
    answer: a socket that is closed with unread data is reset, and the answer is lost."""

    def __init__(self, transport: asyncio.Transport, protocol: "LimitedProtocol") -> None:
        self.real, self._protocol = transport, protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def is_closing(self) -> bool:
        """Whether nothing more is answered."""
        return self._protocol.left or self.real.is_closing()

    def close(self) -> None:
        """Close, once the answer is out."""
        self._protocol.leave()


class LimitedProtocol(HttpToolsProtocol):
    """One connection within `limits`."""

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller is there: the first head has to come."""
        self.left = False  # nothing more is answered
        self._deaf = False  # what comes is thrown away
        self._real = transport
        if hasattr(transport, "max_size"):  # asyncio's: a read of tiny chunks keeps the loop for less long
            transport.max_size = 64 * KIB  # type: ignore[attr-defined]
        self._in_message = self._in_body = False
        self._fields = self._bytes = self._silent = 0
        self._progress = False
        self._timer: asyncio.TimerHandle | None = None
        self._fault: tuple[int, str, str] | None = None  # why the parser was stopped
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        if len(self.connections) > self.limits.connections:
            self._fail(503, "busy", "too many connections are open; ask again in 1 s")
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller has gone, or was left."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless nothing is parsed any more."""
        if self._deaf:
            return
        if not self._in_body:
            self._wait_for_head()
        self._progress = False
        super().data_received(data)
        self._silent = 0 if self._progress else self._silent + len(data)
        if self._silent > self.limits.head and not self._deaf:
            self._fail(431, "too_large", f"headers may have {self.limits.head:,} bytes")

    # -- what the parser finds ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= _PIPELINE:
            self._refuse(429, "too_many", "too many requests at once on one connection")
        self._in_message, self._in_body, self._progress = True, False, True
        self._fields = self._bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._bytes += len(url)
        if self._bytes > self.limits.url:
            self._refuse(414, "too_large", f"an address may have {self.limits.url:,} bytes")
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: those are counted, and nothing reads them."""
        self._fields += 1
        self._bytes += len(name) + len(value)
        if self._fields > self.limits.headers:
            self._refuse(431, "too_large", f"a request may have {self.limits.headers} headers")
        if self._bytes > self.limits.head:
            self._refuse(431, "too_large", f"headers may have {self.limits.head:,} bytes")
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head is complete: its request can be answered."""
        self._in_body = self._progress = True
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request has come."""
        self._in_message = self._in_body = False
        self._progress = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out: where its request is still arriving, nobody reads the rest."""
        super().on_response_complete()
        if self._in_body and not self.pipeline:
            self.leave()

    def _unsupported_upgrade_warning(self) -> None:
        """Another protocol was asked for: the request is answered, and nothing after it is read."""
        self._in_message = self._in_body = False
        self._end_after_answer()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Stop the parser, whose callback this is."""
        self._fault = (status, code, message)
        raise ValueError(message)

    # -- time -----------------------------------------------------------------------------------------

    def _wait_for_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.head_seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # the answer under way first
        elif self._in_message:
            self._fail(408, "too_slow", f"headers have to come within {self.limits.head_seconds:g} s")
        else:
            self._close()

    def timeout_keep_alive_handler(self) -> None:
        """Nobody asks anything any more."""
        if not self.left:
            self._close()

    # -- the end --------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, or was refused while it was."""
        if not self._deaf:
            self._fail(*(self._fault or (400, "bad_request", msg)))

    def _fail(self, status: int, code: str, message: str) -> None:
        """Answer with an error and leave; where another answer is under way, leave after that one."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or not cycle.more_body:
                self._end_after_answer()
                return
            cycle.disconnected = True  # it waits for a body that does not come
            cycle.message_event.set()
        body = json.dumps({"error": {"code": code, "message": message, "request_id": None}}).encode()
        more = b"retry-after: 1\r\n" if status in (429, 503) else b""
        self._real.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nconnection: close\r\n"
            + more
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        self._in_message = True  # whatever else comes is unread
        self.leave()

    def shutdown(self) -> None:
        """The server ends: what is under way is answered."""
        if self.cycle is None or self.cycle.response_complete:
            self._close()
        else:
            self.cycle.keep_alive = False

    def _end_after_answer(self) -> None:
        """Read nothing more. Answers that wait for another on this connection are given up."""
        self._deaf = True
        if self.pipeline or self.cycle is None:
            self._real.abort()
        else:
            self.cycle.keep_alive = False

    def leave(self) -> None:
        """Close; where a request is still arriving, only once its sender has had time to read the answer."""
        if not self._in_message or self._real.is_closing():
            self._close()
        elif not self.left:
            self.left = self._deaf = True
            self._stop_waiting()
            self._unset_keepalive_if_required()
            if self._real.can_write_eof():
                self._real.write_eof()
            self.flow.resume_reading()
            self._timer = self.loop.call_later(_LINGER, self._real.abort)

    def _close(self) -> None:
        self.left = self._deaf = True
        self._stop_waiting()
        self._real.close()
        if self._real.get_write_buffer_size():  # of a caller who does not read
            self._timer = self.loop.call_later(_FLUSH, self._real.abort)


def limited(limits: Limits) -> type[LimitedProtocol]:
    """The protocol within these limits, as `uvicorn.Config(http=…)` takes it."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})
