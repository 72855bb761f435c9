"""What is said before a suggestion is accepted: that nothing is likely, that views disagree, and why."""

import base64

import pytest

from aisle.data.stop_words import STOP_WORDS, is_content_word
from aisle.guarantee import Prediction
from aisle.guarantee.prediction import Alternative
from aisle.guarantee.predictions import NO_VIEW, OOD_MESSAGE
from aisle.server.store import keys
from aisle.server.store.feedback import training_rows
from aisle.server.suggestion_checks import find_conflict, unsure_reason
from tests.server.conftest import advance


def predicted(path, *confidence, reason="first level unsure", rule="", decision="review"):
    path = tuple(path.split(" > "))
    return Prediction(
        id="a", best=path, best_id="", path=(), path_id="", confidence=confidence, decision=decision,
        reason=reason, alternatives=(Alternative(path, confidence[-1]),), rule=rule,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prediction", "reason"),
    [
        (predicted("Toys > Balls", 0.9, 0.2), None),
        (predicted("Toys > Balls", 0.3, 0.04), "the best guess has a confidence of 4%"),
        (predicted("Toys > Balls", 0.8, 0.1), "only Toys is likely (80%)"),
        (predicted("Toys > Balls", 0.9, 0.9, reason=OOD_MESSAGE), "this is unlike the products"),
        (predicted("Toys > Balls", 0.9, 0.9, reason=NO_VIEW), "nothing in it is known to the model"),
        (predicted("Toys > Balls", 0.1, 0.1, rule="balls", decision="accept"), None),
    ],
)
def test_a_suggestion_is_unsure_for_a_reason(prediction, reason):
    found = unsure_reason(prediction)
    assert found is None if reason is None else found.startswith(reason)


BALLS = predicted("Toys > Balls", 0.9, 0.8)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (predicted("Shoes > Boots", 0.7, 0.3), ("Toys > Balls", "Shoes")),
        (predicted("Toys > Dolls", 0.9, 0.6), ("Toys > Balls", "Toys > Dolls")),
        (predicted("Toys > Dolls", 0.7, 0.3), None),  # both say Toys
        (predicted("Shoes > Boots", 0.4, 0.3), None),  # says nothing
        (predicted("Shoes", 0.9, reason=OOD_MESSAGE), None),
    ],
)
def test_views_are_in_conflict_as_deep_as_each_is_likely(image, says):
    found = find_conflict(BALLS, image)
    assert (found and tuple(view["path"] for view in found.to_dict().values())) == says


def test_nothing_likely_is_said_with_the_suggestions(client):
    answer = client.post("/v1/suggest", json={"title": "qzxv wrtk plmf "}).json()
    assert answer["unsure"]
    assert {one["reason"] for one in answer["suggestions"]} == {"a guess"}
    (one,) = client.post("/v1/classify", json={"products": [{"title": "qzxv wrtk plmf"}]}).json()["results"]
    assert one["unsure"]
    assert client.post("/v1/suggest", json={"title": "oak wall clock "}).json()["unsure"] is None
    assert client.post("/v1/suggest", json={"title": " "}).json()["unsure"] is None


@pytest.mark.parametrize(
    "title", ["the clock for the wall", "die Uhr für die Wand", "l'horloge de la cuisine"]
)
def test_reasons_are_content_words(client, title):
    answer = client.post("/v1/suggest", json={"title": f"{title} ", "count": 20}).json()
    quoted = [word for one in answer["suggestions"] for word in one["reason"].split("“")[1:]]
    words = {word.split("”")[0] for word in quoted}
    assert words <= set(filter(is_content_word, title.split()))
    assert ("clock" in words) == ("clock" in title)


def test_stop_words_name_no_products():
    assert {"the", "und", "avec", "для", "में"} <= STOP_WORDS
    products = "ring keys tv computer home hat bin down room pan case light set bar mug man war or-massif"
    assert all(map(is_content_word, products.split()))
    assert not any(map(is_content_word, ["the", "Für", "&", "42", "l'", "of the", ""]))


def test_a_conflict_of_image_and_text_is_told_on_request(client, trained):
    lamp = next(p for p in trained.catalog if p.images and "Lamp" in p.categories[0][-1])
    shirt = {
        "title": "cotton T-shirt",
        "images": [{"base64": base64.b64encode(lamp.images[0].read()).decode()}],
    }
    sent = {"products": [shirt, {"title": "cotton T-shirt"}]}
    plain = client.post("/v1/classify", json=sent).json()["results"]
    assert [one["conflict"] for one in plain] == [None, None]
    found = client.post("/v1/classify?conflicts=true", json=sent).json()["results"]
    alone = [{**shirt, "images": []}, {"images": shirt["images"]}]
    text, image = client.post("/v1/classify", json={"products": alone}).json()["results"]
    says = find_conflict(*(_prediction(one["prediction"]) for one in (text, image)))
    assert found[0]["conflict"] == (says and says.to_dict())
    assert found[1]["conflict"] is None
    assert [one["prediction"] for one in found] == [one["prediction"] for one in plain]


def _prediction(found):
    return predicted(found["best"], *found["confidence"], reason=found["reason"])


def test_a_choice_is_taken_back_by_who_made_it(start):
    client = start()
    tokens = {name: keys.add(client.server.store, name, "seller") for name in ("ana", "bo")}
    advance(client.server, 3)
    ana, bo = ({"Authorization": f"Bearer {tokens[name]}"} for name in ("ana", "bo"))
    chosen = client.get("/v1/taxonomy", headers=ana).json()["nodes"][-1]["id"]
    sent = {"product": {"id": "A-1", "title": "clock"}, "chosen": chosen}
    number = client.post("/v1/feedback", json=sent, headers=ana).json()["id"]
    refused = client.post(f"/v1/feedback/{number}/undo", headers=bo)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "no_such_feedback")
    for _ in range(2):
        assert client.post(f"/v1/feedback/{number}/undo", headers=ana).json() == {
            "id": number,
            "undone": True,
        }
    assert client.get("/v1/catalog/products/A-1", headers=ana).status_code in (200, 404)

    assert list(training_rows(client.server.store)) == []
