"""Runs the server in one process, and drains it on SIGTERM."""

import ctypes
import gc
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn

from aisle.server.app import allowed_hosts, create_app
from aisle.server.errors import ServerError
from aisle.server.protocol import limited_protocol
from aisle.server.settings import ServerSettings
from aisle.server.state import Server
from aisle.server.telemetry import log_to_stderr

_MALLOC = {  # mallopt parameters, by their number in malloc.h
    -8: 2,  # M_ARENA_MAX: each arena keeps what it once needed, and there are forty threads
    # M_MMAP_THRESHOLD: a batch's arrays are returned whole. By default glibc raises the threshold to the
    # largest array ever freed, and the heap fragments: 40 MiB of free memory became 350 in minutes.
    -3: 256 * 1024,
    -1: 4 * 2**20,  # M_TRIM_THRESHOLD
}


class _UvicornServer(uvicorn.Server):
    """Is not ready from the moment of a signal on, then drains."""

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self.aisle_server = server

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.aisle_server.draining = True
        super().handle_exit(sig, frame)


def serve(settings: ServerSettings, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until stopped by a signal.

    Args:
        settings: The server's settings.
        on_ready: Called once the models are loaded.

    Raises:
        ServerError: The address is in use, or as `Server.start`.
        AisleError: A model cannot be loaded.
    """
    log_to_stderr()
    _tune_malloc()
    allowed_hosts(settings)  # fails before models are loaded
    address = _bind(settings)
    server = Server.start(settings)
    address.listen()  # a browser that `on_ready` opens can connect at once
    on_ready()
    config = uvicorn.Config(
        create_app(server),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=settings.drain_seconds,
        timeout_keep_alive=30,
        limit_concurrency=None,
        http=limited_protocol(settings.limits),
        ws="none",
        forwarded_allow_ips=",".join(settings.proxies) or "127.0.0.1",
        proxy_headers=bool(settings.proxies),
    )
    _tune_python()
    listener = _UvicornServer(config, server)
    for sign in (signal.SIGTERM, signal.SIGINT):  # uvicorn handles them while it runs
        signal.signal(sign, lambda *_: None)
    listener.run([address])
    if not listener.started:
        sys.exit(1)


def _tune_malloc() -> None:
    with suppress(OSError, AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def _tune_python() -> None:
    # Loaded modules and models are never garbage: scanning them costs a tenth of a second each time.
    gc.collect()
    gc.freeze()
    gc.collect()  # now few objects count as old, so that new ones are collected in time
    sys.setswitchinterval(0.001)  # the event loop waits less for the scoring thread


def _bind(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; else a body waits 40 ms for the headers' ACK.
    address = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        address.bind((settings.host, settings.port))
    except OSError as error:
        address.close()
        reason = (error.strerror or str(error)).lower()
        raise ServerError(f"cannot listen at {settings.host}, port {settings.port}: {reason}") from error
    return address
