"""A server over the small trained shop, started once for all that only ask it."""

import pytest
from starlette.testclient import TestClient

from aisle.server.app import create_app
from aisle.server.loop_lag import LoopLagMonitor
from aisle.server.settings import ServerSettings
from aisle.server.state import Server
from aisle.server.store import ServerStore
from tests.server.postgres import postgres as postgres  # a fixture

BACKENDS = ("sqlite", "postgresql")


def advance(server, seconds):
    """Move the clock by which the server's keys age."""
    clock = server.keys.clock
    server.keys.clock = lambda: clock() + seconds


@pytest.fixture(autouse=True)
def calm(monkeypatch):
    """On a busy machine requests are refused, as they should be: what else is answered is tested here."""
    monkeypatch.setattr(LoopLagMonitor, "lag_s", 0.0)


@pytest.fixture
def backend(request):
    """Which database; a file's `pytestmark = on_both` runs its tests on both."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def address(backend, request, tmp_path_factory):
    """Where a new, empty store may be."""
    if backend == "postgresql":
        return request.getfixturevalue("postgres").new()
    return str(tmp_path_factory.mktemp("store") / "store.db")


@pytest.fixture
def store(address):
    """A new store."""
    opened = ServerStore(address)
    yield opened
    opened.close()


@pytest.fixture
def start(trained, address):
    """`start(limits=…, …)`: a client of a new server, with a store of its own."""
    clients = []

    def started(**changes):
        settings = ServerSettings(**{"runs": {"shop": trained.run}, "store": address} | changes)
        server = Server.start(settings)
        client = TestClient(create_app(server), base_url=f"http://{settings.host}:8000")
        client.__enter__()
        client.server = server
        clients.append(client)
        return client

    yield started
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope="module")
def client(trained, tmp_path_factory):
    """A server that needs no keys, shared by the tests of a file."""
    store = tmp_path_factory.mktemp("server") / "store.db"
    server = Server.start(ServerSettings(runs={"shop": trained.run}, store=str(store)))
    with TestClient(create_app(server), base_url="http://127.0.0.1:8000") as client:
        client.server = server
        yield client
