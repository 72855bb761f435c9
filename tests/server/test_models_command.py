"""`aisle models`, as an administrator types it."""

import json

import pytest
from typer.testing import CliRunner

from aisle.cli import register
from aisle.server.app import create_app
from aisle.server.state import Server
from aisle.server.store import keys
from tests.server.conftest import advance, patient
from tests.server.live_server import Site


@pytest.fixture(scope="module")
def site(trained, shop, tmp_path_factory):
    runs = {"shop": trained.run, "same": trained.run / "model"}
    store = str(tmp_path_factory.mktemp("models") / "store.db")
    server = Server.start(patient(runs=runs, store=store, golden_set=shop.products))
    site = Site(create_app(server), server)
    yield site
    site.stop()
    server.stop()


def aisle(site, *words):
    return CliRunner().invoke(register(), ["models", *words, "--server", site.address])


def test_a_model_is_promoted_and_gone_back_from(site):
    told = aisle(site, "promote", "same")
    assert told.exit_code == 0, told.stderr
    assert "+0.0%" in told.stderr
    live = [line for line in told.stdout.splitlines() if " live " in line]
    assert [line.split()[0] for line in live] == ["same"]
    assert json.loads(aisle(site, "list", "--json").stdout)["live"] == "same"
    assert json.loads(aisle(site, "shadow", "shop", "--json").stdout)["shadow"] == "shop"
    assert json.loads(aisle(site, "rollback", "--json").stdout)["live"] == "shop"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["promote", "shp"], "Did you mean 'shop'"),
        (["rollback"], "no other model was live"),
    ],
)
def test_what_the_server_refuses_is_one_line(site, words, said):
    done = aisle(site, *words)
    assert said in str(done.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["promot"], "No such command 'promot'. Did you mean 'promote'?"),
        (["promote"], "Missing argument 'NAME'."),
        (["load", "x"], "Missing argument 'FOLDER'."),
    ],
)
def test_wrong_usage_is_named_under_the_usage(site, words, message):
    done = aisle(site, *words)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == f"Error: {message}"


def test_a_key_is_asked_for_and_may_stand_in_the_environment(site, monkeypatch):
    made = keys.add(site.server.store, "ana", "admin")
    advance(site.server, 3)
    assert "a key is needed" in str(aisle(site, "list").exception)
    monkeypatch.setenv("AISLE_KEY", made)
    assert aisle(site, "list").exit_code == 0
