"""One process, one loop: listen, and on SIGTERM finish what is under way."""

import ctypes
import gc
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn

from aisle.server.app import create_app, hosts_of
from aisle.server.problems import ServerError
from aisle.server.protocol import limited
from aisle.server.settings import Settings
from aisle.server.state import Server
from aisle.server.telemetry import log_to_stderr

# malloc.h: its numbers, and what they are set to.
_MALLOC = {
    -8: 2,  # M_ARENA_MAX: two heaps for forty threads; of one for each, every one keeps what it once needed
    # M_MMAP_THRESHOLD: a batch's arrays are given back whole. Left alone, glibc raises it to the largest
    # array ever freed, and arrays of all sizes leave holes: 40 MiB free in the heap became 350 in minutes.
    -3: 256 * 1024,
    -1: 4 * 2**20,  # M_TRIM_THRESHOLD
}


class _Listener(uvicorn.Server):
    """Says at once that it is not ready any more, then lets uvicorn drain."""

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self.ours = server

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self.ours.draining = True
        super().handle_exit(sig, frame)


def serve(settings: Settings, opened: Callable[[], None] = lambda: None) -> None:
    """Serve until told to stop. opened: called once the models are loaded.

    Raises:
        ServerError: nothing can listen at that address; or as `Server.start`.
        AisleError: a model cannot be loaded.
    """
    log_to_stderr()
    _prepare_memory()
    hosts_of(settings)  # before models are loaded for nothing
    address = _bound(settings)
    server = Server.start(settings)
    opened()
    app = create_app(server)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=settings.drain_seconds,
        timeout_keep_alive=30,
        limit_concurrency=None,
        http=limited(settings.limits),
        ws="none",
        forwarded_allow_ips=",".join(settings.proxies) or "127.0.0.1",
        proxy_headers=bool(settings.proxies),
    )
    _prepare_python()
    listener = _Listener(config, server)
    for sign in (signal.SIGTERM, signal.SIGINT):  # uvicorn's own while it runs; then nothing is left to do
        signal.signal(sign, lambda *_: None)
    listener.run([address])
    if not listener.started:
        sys.exit(1)


def _prepare_memory() -> None:
    """Tell glibc what a long-lived process wants."""
    with suppress(OSError, AttributeError):  # elsewhere than on glibc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def _prepare_python() -> None:
    """What a long-lived process with two busy threads wants otherwise than a script does."""
    # What is loaded now stays: looking through it for garbage again and again costs a tenth of a second.
    gc.collect()
    gc.freeze()
    gc.collect()  # from now on little counts as old, so that what is new is looked through in time
    # The loop that reads requests waits less for the thread that scores.
    sys.setswitchinterval(0.001)


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle on: the body would wait 40 ms for the header's acknowledgement.
    address = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        address.bind((settings.host, settings.port))
    except OSError as error:
        address.close()
        why = (error.strerror or str(error)).lower()
        raise ServerError(f"cannot listen at {settings.host}, port {settings.port}: {why}") from error
    return address
