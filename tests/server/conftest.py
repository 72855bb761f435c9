"""A server over the small trained shop, started once for all that only ask it."""

import time

import pytest
from starlette.testclient import TestClient

import aisle
from aisle.server.app import create_app
from aisle.server.settings import RequestLimits, ServerSettings
from aisle.server.state import Server
from aisle.server.store import ServerStore
from tests.server.postgres import postgres as postgres  # a fixture

BACKENDS = ("sqlite", "postgresql")


def advance(server, seconds):
    """Move the clock by which the server's keys age."""
    clock = server.keys.clock
    server.keys.clock = lambda: clock() + seconds


def patient(**changes):
    """Settings of a server that refuses no request because the machine is busy."""
    limits = changes.pop("limits", RequestLimits()).model_copy(update={"max_loop_lag_s": 60.0})
    return ServerSettings(**changes, limits=limits)


class Wrapped:
    """A model that another one stands behind."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)


@pytest.fixture(scope="session")
def load(trained):
    """Loads a folder; that of the shared model once."""
    shared = aisle.load(trained.run)
    return lambda folder: shared if folder == trained.run else aisle.load(folder)


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
def start(trained, address, load):
    """`start(limits=…, …)`: a client of a new server, with a store of its own."""
    clients = []

    def started(load=load, clock=time.monotonic, **changes):
        settings = patient(**{"runs": {"shop": trained.run}, "store": address} | changes)
        server = Server.start(settings, load=None if settings.precision else load, clock=clock)
        client = TestClient(create_app(server), base_url=f"http://{settings.host}:8000")
        client.__enter__()
        client.server = server
        clients.append(client)
        return client

    yield started
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope="module")
def client(trained, load, tmp_path_factory):
    """A server that needs no keys, shared by the tests of a file."""
    store = tmp_path_factory.mktemp("server") / "store.db"
    server = Server.start(patient(runs={"shop": trained.run}, store=str(store)), load=load)
    with TestClient(create_app(server), base_url="http://127.0.0.1:8000") as client:
        client.server = server
        yield client
