"""A server over the small trained shop, started once for all that only ask it."""

import pytest
from starlette.testclient import TestClient

from aisle.server.app import create_app
from aisle.server.settings import Settings
from aisle.server.state import Server


@pytest.fixture
def start(trained, tmp_path_factory):
    """`start(limits=…, …)`: a client of a new server, with a store of its own."""
    clients = []

    def started(**changes):
        folder = tmp_path_factory.mktemp("server")
        settings = Settings(**{"runs": {"shop": trained.run}, "store": str(folder / "store.db")} | changes)
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
    server = Server.start(Settings(runs={"shop": trained.run}, store=str(store)))
    with TestClient(create_app(server), base_url="http://127.0.0.1:8000") as client:
        client.server = server
        yield client
