"""One process, one loop: listen, and on SIGTERM finish what is under way."""

import sys
from types import FrameType

import uvicorn

from aisle.server.app import create_app
from aisle.server.settings import Settings
from aisle.server.state import Server
from aisle.server.telemetry import log_to_stderr


class _Listener(uvicorn.Server):
    """Says at once that it is not ready any more, then lets uvicorn drain."""

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self.ours = server

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self.ours.draining = True
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serve until told to stop.

    Raises:
        AisleError: a model or the store cannot be opened.
    """
    log_to_stderr()
    server = Server.start(settings)
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
        h11_max_incomplete_event_size=64 * 1024,
        forwarded_allow_ips=",".join(settings.proxies) or "127.0.0.1",
        proxy_headers=bool(settings.proxies),
    )
    listener = _Listener(config, server)
    listener.run()
    if not listener.started:
        sys.exit(2)
