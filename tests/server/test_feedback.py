import json

import aisle
from aisle.server.store import feedback as kept


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
    row = kept.of_product(client.server.store, "A-1")[0]
    assert (row["chosen_id"], row["how"], row["person"]) == (second, "chosen", "anonymous")
    assert row["suggested"] == [[first, 0.5], [second, 0.3]]
    assert row["model_id"] == client.server.models.standing.slot(None).model_id
    assert send(client, first, suggested=suggested).json()["how"] == "accepted"
    assert send(client, first, how="default").json()["how"] == "default"


def test_a_retried_post_is_counted_once(client):
    first, second = places(client)[:2]
    before = kept.count(client.server.store)
    answers = [send(client, first, key="k1").json() for _ in range(3)]
    assert [answer["repeated"] for answer in answers] == [False, True, True]
    assert len({answer["id"] for answer in answers}) == 1
    assert kept.count(client.server.store) == before + 1
    other = send(client, second, key="k1")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_reused")


def test_a_category_that_is_not_there(client):
    answer = send(client, places(client)[0] + "s")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_such_category")
    assert "Did you mean" in answer.json()["error"]["message"]


def test_what_is_exported_trains(start, tmp_path):
    client = start()
    first, second = places(client)[:2]
    send(client, first, {"id": "1", "title": "red shoes"})
    send(client, second, {"id": "1", "title": "red shoes"})
    send(client, first, {"id": "2", "title": 'blue, "quoted"\nclock', "fields": {"brand": "Ticker"}})
    send(client, first, {"id": "3", "title": "green mug"}, how="default")
    file = tmp_path / "feedback.jsonl"
    assert kept.export(client.server.store, file) == {"chosen": 2, "accepted": 0, "default": 1}
    catalog = aisle.read(file)
    assert not catalog.problems
    tree = client.server.models.standing.slot(None).taxonomy
    at = [tree.nodes[tree.index(place)].path for place in (first, second)]
    assert [product.categories[0] for product in catalog] == [at[1], at[0], at[0]]
    assert catalog.weights.tolist() == [1, 1, 0]
    assert catalog[1].fields == {"title": 'blue, "quoted"\nclock', "brand": "Ticker"}
    how = [json.loads(line)["category_how"] for line in file.read_text().splitlines()]
    assert how == ["chosen", "chosen", "default"]
