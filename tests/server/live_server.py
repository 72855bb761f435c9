"""A server on a port of its own, in a thread: for what needs a real connection."""

import socket
import threading

import uvicorn

from aisle.server.protocol import limited_protocol
from aisle.server.store import feedback as feedback_store
from tests.waiting import wait_until


class Site:
    """A server that listens, and what its store holds."""

    def __init__(self, app, server, lifespan="off"):
        self.lifespan = lifespan
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server, self.address = server, f"http://127.0.0.1:{self.port}/"
        self.app = app
        self.start()

    def start(self):
        protocol = limited_protocol(self.server.settings.limits)
        config = uvicorn.Config(
            self.app, port=self.port, log_config=None, lifespan=self.lifespan, ws="none", http=protocol
        )
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.uvicorn.run)
        self.thread.start()
        wait_until(lambda: self.uvicorn.started)

    def stop(self):
        self.uvicorn.should_exit = True
        self.thread.join()

    def said(self):
        """The latest word on each product, the earliest first."""
        return feedback_store.latest(self.server.store, None, 100).rows[::-1]
