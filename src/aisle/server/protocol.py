"""uvicorn's HTTP/1.1 protocol with limits on request lines, headers, trailers, connections and their time.

httptools buffers without a limit: headers and the trailers of a chunked body have no end,
`h11_max_incomplete_event_size` does not apply to it, and uvicorn waits for the end of headers for ever.
"""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from aisle.server.settings import KIB, RequestLimits

_LINGER = 5.0  # seconds for a client to read the response to what it is still sending
_FLUSH = 30.0  # seconds for a client to read the last response of a connection
_PIPELINE = 16  # requests of a connection that may wait for the one before them


class _Transport:
    """uvicorn's transport, with a `close` that lets a client that is still sending read the response.

    A socket that is closed with unread data is reset, and the response is lost.
    """

    def __init__(self, transport: asyncio.Transport, protocol: "LimitedProtocol") -> None:
        self.real, self._protocol = transport, protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def is_closing(self) -> bool:
        """Whether no more responses are sent."""
        return self._protocol.closing or self.real.is_closing()

    def close(self) -> None:
        """Close once the response is sent."""
        self._protocol.linger()


class LimitedProtocol(HttpToolsProtocol):
    """One connection within `limits`."""

    limits = RequestLimits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        self.closing = False  # no more responses are sent
        self._discard = False  # received data is thrown away
        self._real = transport
        if hasattr(transport, "max_size"):  # a read of tiny chunks blocks the loop for less long
            transport.max_size = 64 * KIB  # type: ignore[attr-defined]
        self._in_message = self._in_body = False
        self._headers = self._bytes = self._unparsed = 0
        self._progress = False  # whether the parser found anything in the last data
        self._timer: asyncio.TimerHandle | None = None
        self._error: tuple[int, str, str] | None = None  # why the parser was stopped
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        if len(self.connections) > self.limits.max_connections:
            self._fail(503, "busy", "too many connections are open; ask again in 1 s")
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, unless the connection is ending."""
        if self._discard:
            return
        if not self._in_body:
            self._start_timer()
        self._progress = False
        super().data_received(data)
        self._unparsed = 0 if self._progress else self._unparsed + len(data)
        if self._unparsed > self.limits.max_header_bytes and not self._discard:
            self._fail(431, "too_large", f"headers may have {self.limits.max_header_bytes:,} bytes")

    # -- callbacks of the parser ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Count pipelined requests."""
        if len(self.pipeline) >= _PIPELINE:
            self._stop_parser(429, "too_many", "too many requests at once on one connection")
        self._in_message, self._in_body, self._progress = True, False, True
        self._headers = self._bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the URL."""
        self._bytes += len(url)
        if self._bytes > self.limits.max_url_bytes:
            self._stop_parser(414, "too_large", f"an address may have {self.limits.max_url_bytes:,} bytes")
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count headers; trailers are counted and dropped."""
        self._headers += 1
        self._bytes += len(name) + len(value)
        if self._headers > self.limits.max_headers:
            self._stop_parser(431, "too_large", f"a request may have {self.limits.max_headers} headers")
        if self._bytes > self.limits.max_header_bytes:
            message = f"headers may have {self.limits.max_header_bytes:,} bytes"
            self._stop_parser(431, "too_large", message)
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the timer of headers."""
        self._in_body = self._progress = True
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note progress."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        self._in_message = self._in_body = False
        self._progress = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Close if the request is still arriving: its rest is not read."""
        super().on_response_complete()
        if self._in_body and not self.pipeline:
            self.linger()

    def _unsupported_upgrade_warning(self) -> None:
        """Answer the request in HTTP/1.1 and read nothing after it."""
        self._in_message = self._in_body = False
        self._end_after_response()

    def _stop_parser(self, status: int, code: str, message: str) -> None:
        self._error = (status, code, message)
        raise ValueError(message)  # calls send_400_response

    # -- time -----------------------------------------------------------------------------------------

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.header_timeout_s, self._timed_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self) -> None:
        self._timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._in_message:
            self._fail(408, "too_slow", f"headers have to come within {self.limits.header_timeout_s:g} s")
        else:
            self._close()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        if not self.closing:
            self._close()

    # -- the end --------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Respond to a request that cannot be parsed, or that the parser rejected."""
        if not self._discard:
            self._fail(*(self._error or (400, "bad_request", msg)))

    def _fail(self, status: int, code: str, message: str) -> None:
        """Send an error and close; if another response is in progress, close after that one."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or not cycle.more_body:
                self._end_after_response()
                return
            cycle.disconnected = True  # it waits for a body that does not come
            cycle.message_event.set()
        body = json.dumps({"error": {"code": code, "message": message, "request_id": None}}).encode()
        retry = b"retry-after: 1\r\n" if status in (429, 503) else b""
        head = b"content-type: application/json\r\nconnection: close\r\n" + retry
        self._real.write(STATUS_LINE[status] + head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self._in_message = True  # the rest of it is not read
        self.linger()

    def shutdown(self) -> None:
        """Finish the response in progress and close."""
        if self.cycle is None or self.cycle.response_complete:
            self._close()
        else:
            self.cycle.keep_alive = False

    def _end_after_response(self) -> None:
        """Stop reading; pipelined requests are dropped."""
        self._discard = True
        if self.pipeline or self.cycle is None:
            self._real.abort()
        else:
            self.cycle.keep_alive = False

    def linger(self) -> None:
        """Close; if a request is still arriving, only after its client had time to read the response."""
        if not self._in_message or self._real.is_closing():
            self._close()
        elif not self.closing:
            self.closing = self._discard = True
            self._stop_timer()
            self._unset_keepalive_if_required()
            if self._real.can_write_eof():
                self._real.write_eof()
            self.flow.resume_reading()
            self._timer = self.loop.call_later(_LINGER, self._real.abort)

    def _close(self) -> None:
        self.closing = self._discard = True
        self._stop_timer()
        self._real.close()
        if self._real.get_write_buffer_size():  # of a client that does not read
            self._timer = self.loop.call_later(_FLUSH, self._real.abort)


def limited_protocol(limits: RequestLimits) -> type[LimitedProtocol]:
    """The protocol within these limits, for `uvicorn.Config(http=…)`."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})
