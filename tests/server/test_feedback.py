import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

import aisle
from aisle.server.store import feedback as feedback_store
from tests.conftest import QUICK
from tests.server.conftest import BACKENDS

pytestmark = pytest.mark.parametrize("backend", BACKENDS, indirect=True)


@pytest.fixture
def client(start):
    return start()


def send(client, chosen, product=None, key=None, **more):
    body = {"product": product or {"id": "A-1", "title": "red shoes"}, "chosen": chosen, **more}
    return client.post("/v1/feedback", json=body, headers={"Idempotency-Key": key} if key else {})


def places(client):
    return [n["id"] for n in client.get("/v1/taxonomy").json()["nodes"] if n["assignable"]]


def test_a_choice_is_kept_with_what_was_suggested(client):
    first, second = places(client)[:2]
    suggested = [{"id": first, "confidence": 0.5}, {"id": second, "confidence": 0.3}]
    answer = send(client, second, suggested=suggested)
    assert answer.status_code == 200, answer.text
    row = feedback_store.of_product(client.server.store, "A-1")[0]
    assert (row["chosen_id"], row["how"], row["person"]) == (second, "chosen", "anonymous")
    assert row["suggested"] == [[first, 0.5], [second, 0.3]]
    assert row["model_id"] == client.server.registry.state.get().model_id
    refused = send(client, first, suggested=suggested)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "token_missing")
    found = client.post("/v1/suggest", json={"title": "red shoes"}).json()
    best = found["suggestions"][0]["id"]
    offered = {"suggested": [{"id": best, "confidence": 0.5}], "token": found["token"]}
    assert send(client, best, **offered).json()["how"] == "accepted"
    assert send(client, first, how="default").json()["how"] == "default"


def test_a_retried_post_is_counted_once(client):
    first, second = places(client)[:2]
    before = feedback_store.count(client.server.store)
    answers = [send(client, first, key="k1").json() for _ in range(3)]
    assert [answer["repeated"] for answer in answers] == [False, True, True]
    assert len({answer["id"] for answer in answers}) == 1
    assert feedback_store.count(client.server.store) == before + 1
    other = send(client, second, key="k1")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_reused")


def test_a_category_that_is_not_there(client):
    answer = send(client, places(client)[0] + "s")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_such_category")
    assert "Did you mean" in answer.json()["error"]["message"]


@pytest.mark.slow
def test_what_is_exported_trains(client, tmp_path):
    first, second = places(client)[:2]
    send(client, first, {"id": "1", "title": "red shoes"})
    send(client, second, {"id": "1", "title": "red shoes"})
    send(client, first, {"id": "2", "title": 'blue, "quoted"\nclock', "fields": {"brand": "Ticker"}})
    send(client, first, {"id": "3", "title": "green mug"}, how="default")
    file = tmp_path / "feedback.jsonl"
    assert feedback_store.export(client.server.store, file) == {
        "chosen": 2,
        "accepted": 0,
        "batch": 0,
        "default": 1,
    }
    catalog = aisle.read(file)
    assert not catalog.problems
    tree = client.server.registry.state.get().taxonomy
    at = [tree.nodes[tree.index(place)].path for place in (first, second)]
    assert [product.categories[0] for product in catalog] == [at[1], at[0], at[0]]
    assert catalog.weights.tolist() == [1, 1, 0]
    assert catalog[1].fields == {"title": 'blue, "quoted"\nclock', "brand": "Ticker"}
    how = [json.loads(line)["how"] for line in file.read_text().splitlines()]
    assert how == ["chosen", "chosen", "default"]


def test_the_same_post_at_the_same_moment_is_counted_once(client):
    place = places(client)[0]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(client, place, key="k").json(), range(16)))
    assert len({answer["id"] for answer in answers}) == 1
    assert sorted(answer["repeated"] for answer in answers) == [False] + [True] * 15
    assert feedback_store.count(client.server.store) == 1


@pytest.mark.slow
def test_many_writers_lose_nothing(client):
    place = places(client)[0]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda i: send(client, place, {"id": str(i)}).status_code, range(60)))
    assert said == [200] * 60
    assert {row["id"] for row in feedback_store.training_rows(client.server.store)} == {
        str(i) for i in range(60)
    }


def test_a_store_that_is_away_acknowledges_nothing(client):
    place = places(client)[0]
    client.server.store.engine.dispose()
    broken = client.server.store.engine

    def refuse(*_):
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    event.listen(broken, "before_cursor_execute", refuse)
    try:
        answer = send(client, place)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/ready").status_code == 503
        assert client.post("/v1/classify", json={"products": [{"title": "clock"}]}).status_code == 200
    finally:
        event.remove(broken, "before_cursor_execute", refuse)
    assert send(client, place).status_code == 200
    assert feedback_store.count(client.server.store) == 1


@pytest.mark.slow
def test_nothing_is_learned_from_what_nobody_looked_at(client, tmp_path, trained):
    """Beside choices, defaults that say where the model would put things anyway."""
    places = [trained.model.taxonomy.nodes[n].id for n in trained.model.taxonomy.terminals[:2]]
    for i in range(24):
        send(client, places[i % 2], {"id": f"c{i}", "title": f"{'red shoe' if i % 2 else 'oak clock'} {i}"})
        send(client, places[0], {"id": f"d{i}", "title": f"red shoe {i} again"}, how="default")
    feedback_store.export(client.server.store, tmp_path / "f.jsonl")
    catalog = aisle.read(tmp_path / "f.jsonl")
    model = aisle.train(
        catalog, "fast", changes=(*QUICK, "split.validation=0", "split.calibration=0", "split.threshold=0")
    )
    assert model.results["training_products"] == 24
    assert model.seen(catalog).sum() == 24
