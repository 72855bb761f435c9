"""Who gets in: before there are keys, once there are, when they end, and when the store fails."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from aisle.server.errors import ServerError
from aisle.server.state import Server
from aisle.server.store import ServerStore, keys, retention
from aisle.server.store.tables import keys as table
from tests.server.conftest import BACKENDS, advance, patient
from tests.server.test_security import ONE, key
from tests.waiting import wait_until

on_both = pytest.mark.parametrize("backend", BACKENDS, indirect=True)
OUTSIDE = [
    {"host": "0.0.0.0"},
    {"host": "::"},
    {"host": ""},
    {"host": "192.0.2.7"},
    {"host": "shop.internal"},
    {"proxies": ("127.0.0.1",)},
    {"hosts": ("aisle.shop.example",)},
]


def later(client):
    """As if three seconds had passed since the keys were read: known, and not fresh."""
    advance(client.server, 3)


def may(client, headers=None):
    return client.post("/v1/classify", json=ONE, headers=headers or {}).status_code


@on_both
def test_revoking_the_last_key_opens_nothing(start, backend):
    client = start()
    assert may(client) == 200  # nobody ever made a key, and only this machine asks
    mine = key(client, "admin")
    assert (may(client), may(client, mine)) == (401, 200)
    keys.revoke(client.server.store, "sol")
    later(client)
    assert (may(client), may(client, mine)) == (401, 401)
    assert client.get("/v1/me").status_code == 401
    again = start()  # on the same store, as after a restart
    assert (may(again), may(again, mine)) == (401, 401)
    assert may(again, key(again)) == 200


@on_both
def test_a_person_who_is_forgotten_opens_nothing(start, backend):
    client = start()
    mine = key(client, "admin")
    assert retention.forget(client.server.store, "sol")["keys"] == 1
    later(client)
    assert (may(client), may(client, mine)) == (401, 401)
    again = start()
    assert (may(again), may(again, mine)) == (401, 401)
    assert keys.list_keys(again.server.store) == []


def test_a_key_that_came_and_went_between_two_looks_closes_too(start):
    client = start()
    keys.add(client.server.store, "sol", "seller")
    keys.revoke(client.server.store, "sol")
    later(client)
    assert may(client) == 401


@pytest.mark.parametrize("outside", OUTSIDE, ids=lambda change: str(*change.values()))
def test_a_server_others_reach_does_not_start_without_a_key_in_use(trained, tmp_path, outside):
    settings = patient(runs={"s": trained.run}, store=str(tmp_path / "s.db"), **outside)
    with pytest.raises(ServerError, match="aisle keys add NAME --role admin --store ") as first:
        Server.start(settings)
    assert "\n" not in str(first.value)
    assert "--no-keys" in str(first.value)
    store = ServerStore(settings.store)
    keys.add(store, "sol", "admin")
    keys.revoke(store, "sol")
    store.close()
    with pytest.raises(ServerError, match="aisle keys add NAME --role admin --store ") as then:
        Server.start(settings)
    assert "--no-keys" not in str(then.value)  # it would be refused: there was a key


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_a_server_of_this_machine_alone_starts_without_keys(trained, tmp_path, host):
    server = Server.start(patient(runs={"s": trained.run}, store=str(tmp_path / "s.db"), host=host))
    assert server.open is True
    server.stop()


def test_open_is_for_stores_that_never_had_a_key(start, trained, address):
    client = start(no_keys=True, hosts=("testserver", "127.0.0.1"))
    assert may(client) == 200
    mine = key(client)
    assert (may(client), may(client, mine)) == (401, 200)
    with pytest.raises(ServerError, match="leave --no-keys out"):
        Server.start(patient(runs={"s": trained.run}, store=address, no_keys=True))


@pytest.mark.slow
def test_the_command_says_in_one_line_how_to_make_the_first_key(trained, tmp_path):
    command = [sys.executable, "-m", "aisle", "serve", str(trained.run), "--port", "0"]
    command += ["--store", str(tmp_path / "a store.db")]
    for more in (["--host", "0.0.0.0"], ["--proxy", "127.0.0.1"], ["--allow-host", "shop.example"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=120)
        assert done.returncode == 2
        (line,) = done.stderr.strip().splitlines()
        assert f"`aisle keys add NAME --role admin --store '{tmp_path / 'a store.db'}'`" in line


# -- a store that is away -----------------------------------------------------------------------------


def files(client):
    database = Path(client.server.store.address.database)
    return [path for path in database.parent.iterdir() if path.name.startswith(database.name)]


def lose(client, how):
    database = Path(client.server.store.address.database)
    away = database.parent / "away"
    away.mkdir()
    if how == "its journal deleted":
        database.with_name(f"{database.name}-wal").rename(away / "wal")
        return
    for file in files(client):
        file.rename(away / file.name)
    if how == "made anew":
        ServerStore(str(database)).close()
    if how == "replaced":
        shutil.copy(away / database.name, database)


def find(client):
    """Put it back."""
    database = Path(client.server.store.address.database)
    away = database.parent / "away"
    for file in files(client):
        file.unlink()
    for file in away.iterdir():
        file.rename(database.parent / file.name)


def writes(client):
    """A request to every route that writes."""
    product = {"id": "1", "title": "clock"}
    (top,) = client.get("/v1/taxonomy", params={"limit": 1}).json()["nodes"]
    return [
        ("POST", "/v1/feedback", {"product": product, "chosen": top["id"]}),
        ("POST", "/v1/review/items?include_accepted=true", {"products": [product]}),
        ("POST", "/v1/classify?review=true", {"products": [product]}),
        ("POST", "/v1/review/next", {}),
        ("POST", "/v1/review/items/1/decide", {"chosen": top["id"]}),
        ("POST", "/v1/review/items/1/skip", None),
        ("POST", "/v1/review/undo", None),
        ("POST", "/v1/review/accept", {"ids": [1]}),
    ]


LOST = ["deleted", "made anew", "replaced", "its journal deleted"]


@pytest.mark.slow
@pytest.mark.parametrize("how", LOST)
def test_nothing_is_acknowledged_that_would_be_lost(start, how):
    client = start()
    mine = key(client, "admin")
    client.headers.update(mine)
    asked = writes(client)
    assert client.get("/ready").status_code == 200
    assert (
        client.post("/v1/review/items?include_accepted=true", json={"products": [{"id": "1"}]}).status_code
        == 200
    )
    lose(client, how)
    for method, path, body in asked:
        answer = client.request(method, path, json=body)
        if path == "/v1/classify?review=true" and answer.status_code == 200:
            assert "review_id" not in answer.json()["results"][0]  # sure of it: nothing to keep
            continue
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable"), path
        assert "deleted or replaced" in answer.json()["error"]["message"]
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["checks"]["store"]) == (503, False)
    assert "deleted or replaced" in ready.json()["problem"]


@pytest.mark.parametrize("how", LOST)
def test_a_store_that_is_lost_opens_nothing(start, how):
    client = start()
    mine = key(client, "admin")
    assert may(client, mine) == 200
    lose(client, how)
    for _ in range(3):
        later(client)
        assert may(client) == 401
        assert client.get("/v1/models/history").status_code == 401
    assert may(client, mine) == 200


@pytest.mark.slow
def test_known_keys_count_while_the_store_is_lost(start):
    client = start()
    mine, other = key(client), key(client, person="other")
    assert may(client, mine) == may(client, other) == 200
    keys.revoke(client.server.store, "other")
    later(client)
    assert (may(client, mine), may(client, other)) == (200, 401)
    lose(client, "deleted")
    later(client)
    assert (may(client, mine), may(client, other), may(client)) == (200, 401, 401)
    find(client)
    assert client.get("/ready").status_code == 200
    assert (may(client, mine), may(client, other)) == (200, 401)
    keys.revoke(client.server.store, "sol")
    wait_until(lambda: may(client, mine) == 401)  # at most two seconds


def test_known_keys_do_not_count_for_ever(start):
    client = start()
    mine = key(client)
    lose(client, "deleted")
    advance(client.server, 3600)
    answer = client.post("/v1/classify", json=ONE, headers=mine)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")


def test_a_revoked_key_does_not_come_back_with_an_older_store(start):
    client = start()
    mine, other = key(client), key(client, person="other")
    keys.revoke(client.server.store, "sol")
    later(client)
    assert (may(client, mine), may(client, other)) == (401, 200)
    with client.server.store.begin() as connection:  # as where a copy of before is put back
        connection.execute(table.update().values(revoked=None))
    later(client)
    assert (may(client, mine), may(client, other)) == (401, 200)


@pytest.mark.slow
def test_ten_requests_wait_for_one_look_at_a_store_that_hangs(start, postgres):
    address = postgres.new()
    client = start(store=address)
    mine, other = key(client), key(client, person="other")
    assert may(client, mine) == may(client, other) == 200
    engine = sa.create_engine(client.server.store.address)
    with engine.begin() as holding:
        holding.execute(sa.text("LOCK TABLE keys IN ACCESS EXCLUSIVE MODE"))
        holding.execute(table.update().where(table.c.person == "other").values(revoked=1))
        later(client)
        with ThreadPoolExecutor(10) as callers:
            codes = list(callers.map(lambda _: may(client, mine), range(10)))
        assert codes == [200] * 10
        waiting = holding.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        assert waiting == 1  # one look, not one of each request after the other
        assert may(client, other) == 200  # not known to be revoked yet
    engine.dispose()
    wait_until(lambda: may(client, other) == 401)  # the store is back
    assert (may(client, mine), may(client, other)) == (200, 401)
