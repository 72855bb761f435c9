"""Images that callers send: none is lost between saving and the row, none is dropped without a word."""

import base64
import json

import pytest
from sqlalchemy import event

from aisle.server.settings import ImageFetchSettings
from aisle.server.store import feedback as feedback_store
from aisle.server.store import retention
from tests.server.conftest import BACKENDS
from tests.server.test_classify import image_bytes
from tests.server.test_feedback_export import leaves

GOOD = {"base64": base64.b64encode(image_bytes()).decode()}
BROKEN = {"base64": base64.b64encode(b"no picture at all").decode()}
CUT = {"base64": base64.b64encode(image_bytes(size=(300, 300))[:400]).decode()}
INSIDE = {"url": "http://127.0.0.1/secret.png"}
UNKNOWN = "not an image of a known format"
FETCHED = ImageFetchSettings(enabled=True, timeout_s=1)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
@pytest.mark.parametrize("path", ["feedback", "review/items"])
def test_a_sweep_at_any_moment_leaves_the_images_of_a_request_under_way(start, path):
    """The hourly sweep, run whenever the request lets go of the database."""
    client = start()
    sweeping = []

    def sweep(*_):
        if not sweeping:
            sweeping.append(True)
            retention.sweep_images(client.server.store)
            sweeping.clear()

    (leaf, _), *_ = leaves(client)
    product = {"id": "1", "title": "oak clock", "images": [GOOD]}
    sent = {"product": product, "chosen": leaf} if path == "feedback" else {"products": [product]}
    event.listen(client.server.store.engine, "checkin", sweep)
    try:
        answer = client.post(f"/v1/{path}", json=sent, params={"include_accepted": True})
        assert answer.status_code == 200, answer.text
    finally:
        event.remove(client.server.store.engine, "checkin", sweep)
    (address,) = client.get("/v1/products/1").json()["images"]
    assert client.get(address).status_code == 200


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
def test_a_retried_post_keeps_its_image_once_and_a_refused_one_none(start):
    client = start()
    (leaf, _), (other, _), *_ = leaves(client)

    def post(chosen, image):
        body = {"product": {"id": "1", "images": [image]}, "chosen": chosen}
        return client.post("/v1/feedback", json=body, headers={"Idempotency-Key": "k"}).status_code

    assert [post(leaf, GOOD), post(leaf, GOOD)] == [200, 200]
    blue = {"base64": base64.b64encode(image_bytes((1, 2, 200))).decode()}
    assert post(other, blue) == 409  # the key was used for something else
    assert retention.sweep_images(client.server.store) == 0


def test_feedback_lists_the_images_that_could_not_be_read_and_keeps_the_list(start, tmp_path):
    client = start(image_fetch=FETCHED)
    (leaf, _), *_ = leaves(client)
    product = {"id": "1", "title": "oak clock", "images": [GOOD, BROKEN, INSIDE, CUT]}
    answer = client.post("/v1/feedback", json={"product": product, "chosen": leaf}).json()
    missing = answer["missing_images"]
    assert [(one["image"], one["url"]) for one in missing] == [(2, None), (3, INSIDE["url"]), (4, None)]
    assert missing[0]["reason"] == UNKNOWN
    assert missing[1]["reason"] == "not an address on the internet"
    assert missing[2]["reason"].startswith("image is broken: ")
    page = client.get("/v1/products/1").json()
    assert page["feedback"][0]["missing_images"] == missing
    assert len(page["images"]) == 1
    feedback_store.export(client.server.store, tmp_path / "f.jsonl")
    row = json.loads((tmp_path / "f.jsonl").read_text())
    assert row["missing_images"] == missing
    assert len(row["images"]) == 1


def test_an_answer_lists_them_too_and_counts_what_the_model_read(start):
    client = start(image_fetch=FETCHED)
    products = [
        {"id": "none", "title": "clock"},
        {"id": "good", "title": "clock", "images": [GOOD]},
        {"id": "broken", "title": "clock", "images": [BROKEN]},
        {"id": "second", "title": "clock", "images": [INSIDE, GOOD]},
    ]
    answers = client.post("/v1/classify", json={"products": products}).json()["results"]
    assert [one["images_read"] for one in answers] == [0, 1, 0, 1]
    assert [[m["image"] for m in one["missing_images"]] for one in answers] == [[], [], [1], [1]]
    assert answers[2]["prediction"]["problems"] == [f"image 1: {UNKNOWN}"]
    # What cannot be read changes no answer.
    assert answers[2]["prediction"]["best"] == answers[0]["prediction"]["best"]
    assert answers[3]["prediction"]["confidence"] == answers[1]["prediction"]["confidence"]


def test_a_model_that_reads_no_images_has_read_none(start, tmp_path):
    import aisle

    catalog = aisle.read([{"id": str(i), "title": t, "category": c} for i, (t, c) in enumerate(TEXTS * 6)])
    aisle.train(catalog, "fast", out=tmp_path / "run")
    client = start(runs={"words": tmp_path / "run"})
    sent = {"products": [{"title": "clock", "images": [GOOD, GOOD]}]}
    (answer,) = client.post("/v1/classify", json=sent).json()["results"]
    assert client.get("/v1/models").json()["models"][0]["views"] == ["text", "title"]
    assert (answer["images_read"], answer["missing_images"]) == (0, [])


TEXTS = (("oak clock", "Home > Clocks"), ("red shoe", "Shoes > Trainers"))


def test_a_review_lists_them_and_so_does_the_choice(start):
    client = start(image_fetch=FETCHED, double_review_rate=0.0)
    product = {"id": "1", "title": "oak clock", "images": [INSIDE, GOOD, BROKEN]}
    queued = client.post(
        "/v1/review/items", json={"products": [product]}, params={"include_accepted": True}
    ).json()
    missing = queued["results"][0]["missing_images"]
    assert [(one["image"], one["url"]) for one in missing] == [(1, INSIDE["url"]), (3, None)]
    (item,) = client.post("/v1/review/next", json={}).json()["items"]
    assert item["missing_images"] == missing
    chosen = {"chosen": item["prediction"]["best_id"]}
    decided = client.post(f"/v1/review/items/{item['id']}/decide", json=chosen).json()
    assert decided["missing_images"] == missing
    page = client.get("/v1/products/1").json()
    assert (page["reviews"][0]["missing_images"], page["feedback"][0]["missing_images"]) == (missing, missing)


@pytest.mark.slow
def test_a_search_says_that_it_went_by_the_words_alone(trained, start, tmp_path):
    from aisle import search

    search.build(trained.model, trained.catalog, tmp_path / "index", run=trained.run)
    client = start(index=tmp_path / "index")
    answer = client.post("/v1/search", json={"query": "clock", "images": [BROKEN], "count": 3}).json()
    assert answer["missing_images"] == [{"image": 1, "url": None, "reason": UNKNOWN}]
    assert (len(answer["products"]), answer["total"]) == (
        3,
        int((~trained.catalog.fatal).sum()),
    )
    alone = client.post("/v1/search", json={"images": [BROKEN]})
    assert (alone.status_code, alone.json()["error"]["code"]) == (422, "bad_image")
    dear = client.post("/v1/search", json={"query": "clock", "where": "price > 100", "count": 1}).json()
    assert 1 <= dear["total"] < answer["total"]


def test_there_is_one_count_of_placed_products_however_many_are_listed(start):
    client = start()
    *_, (other, _), (leaf, _) = leaves(client)
    for i in range(5):
        body = {"product": {"id": f"{i % 4}", "title": "clock"}, "chosen": leaf if i % 2 else other}
        assert client.post("/v1/feedback", json=body).status_code == 200
    listed = client.get("/v1/products", params={"limit": 2}).json()
    assert (len(listed["products"]), listed["total"]) == (2, 4)
    assert client.get("/v1/products", params={"category": leaf}).json()["total"] == 2
