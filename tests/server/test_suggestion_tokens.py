"""A choice that carries the token of its suggestions is kept for the product they were made for alone."""

import base64
import json

import pytest

from aisle.server.store import feedback as feedback_store
from aisle.server.store.tables import reviews
from tests.server.test_classify import image_bytes

TEXT = {"title": "oak wall clock", "description": "with roman numerals", "fields": {"brand": "Holt"}}


@pytest.fixture
def client(start):
    return start(double_review_rate=0.0)


def suggested(client, **changes):
    """Suggestions for a product, as feedback carries them."""
    answer = client.post("/v1/suggest", json={**TEXT, **changes}).json()
    offered = [{"id": one["id"], "confidence": one["confidence"]} for one in answer["suggestions"]]
    return {"token": answer["token"], "suggested": offered, "chosen": offered[0]["id"]}


def send(client, product, choice):
    return client.post("/v1/feedback", json={"product": {"id": "A-1", **product}, **choice})


def count(client):
    return feedback_store.count(client.server.store)


def test_the_same_text_is_accepted_however_it_is_spaced(client):
    choice = suggested(client)
    for product in (TEXT, {**TEXT, "title": "  oak wall  clock "}, {**TEXT, "images": []}):
        answer = send(client, product, choice)
        assert (answer.status_code, answer.json()["how"]) == (200, "accepted")


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "blue cotton shirt"},
        {"title": "oak wall clock, red"},
        {"title": "Oak wall clock"},
        {"title": ""},
        {"description": "with arabic numerals"},
        {"description": None},
        {"fields": {"brand": "Fleet"}},
        {"fields": {}},
        {"images": [base64.b64encode(image_bytes()).decode()]},
    ],
)
def test_another_text_or_image_is_refused_and_nothing_is_kept(client, changes):
    choice = suggested(client)
    answer = send(client, {**TEXT, **changes}, choice)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "stale_suggestion")
    assert count(client) == 0


def test_other_suggestions_are_refused(client):
    choice = suggested(client)
    titles = ("blue cotton shirt", "red running shoes", "garden chair")
    others = (suggested(client, title=title) for title in titles)
    other = next(one for one in others if one["chosen"] != choice["chosen"])
    assert send(client, TEXT, {**other, "token": choice["token"]}).status_code == 409
    assert send(client, TEXT, {**choice, "token": "0" * 32}).status_code == 409
    assert count(client) == 0


def test_a_choice_from_the_tree_needs_no_token(client):
    chosen = suggested(client)["chosen"]
    assert send(client, {"title": "anything"}, {"chosen": chosen}).json()["how"] == "chosen"


def test_images_are_the_same_however_they_are_sent(client):
    data, other = image_bytes(), image_bytes(colour=(30, 30, 200))
    product = {"id": "A-1", "title": "oak wall clock", "images": [{"file": "front"}]}
    form = {"products": (None, json.dumps([product]), "application/json")}
    (answer,) = client.post("/v1/classify", files={**form, "front": ("a.jpg", data)}).json()["results"]
    first = answer["prediction"]["best_id"]
    choice = {"token": answer["token"], "suggested": [{"id": first}], "chosen": first}
    encoded = base64.b64encode(data).decode()
    for image in (encoded, f"data:image/jpeg;base64,{encoded}", {"base64": encoded}):
        answer = send(client, {"title": "oak wall clock", "images": [image]}, choice)
        assert answer.status_code == 200, answer.text
    for images in ([base64.b64encode(other).decode()], [encoded, encoded], []):
        assert send(client, {"title": "oak wall clock", "images": images}, choice).status_code == 409
    assert count(client) == 3


def queued(client, title):
    sent = {"products": [{"id": "A-1", "title": title}]}
    (answer,) = client.post("/v1/review/items?include_accepted=true", json=sent).json()["results"]
    return answer["review_id"]


def borrowed(client):
    """The one item as a reviewer sees it; their time is up at once."""
    (item,) = client.post("/v1/review/next", json={}).json()["items"]
    with client.server.store.begin() as connection:
        connection.execute(reviews.update().values(leased_until=0))
    return item


def test_a_review_item_that_changed_is_not_decided(client):
    client.server.settings = client.server.settings.model_copy(update={"batch_min_confidence": 0.0})
    number = queued(client, "oak wall clock")
    item = borrowed(client)
    assert queued(client, "blue cotton shirt") == number
    best = item["prediction"]["best_id"]
    answer = client.post(f"/v1/review/items/{number}/decide", json={"chosen": best, "token": item["token"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "stale_suggestion")
    together = {"ids": [number], "tokens": {str(number): item["token"]}, "confirm": True}
    (entry,) = client.post("/v1/review/accept", json=together).json()["items"]
    assert (entry["feedback"], entry["error"]["code"]) == (None, "stale_suggestion")
    assert count(client) == 0
    now = client.get(f"/v1/review/items/{number}").json()
    together["tokens"] = {str(number): now["token"]}
    (entry,) = client.post("/v1/review/accept", json=together).json()["items"]
    assert entry["error"] is None
    (row,) = feedback_store.of_product(client.server.store, "A-1")
    assert (row["fields"]["title"], row["chosen_id"]) == ("blue cotton shirt", now["prediction"]["best_id"])
