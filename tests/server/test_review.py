import base64

import pytest

from aisle.server.store import feedback as feedback_store
from aisle.server.store import keys
from tests.server.conftest import BACKENDS, advance
from tests.server.test_classify import image_bytes

pytestmark = pytest.mark.parametrize("backend", BACKENDS, indirect=True)


@pytest.fixture
def people(start):
    """A server with two reviewers and a seller, as clients' headers by name."""
    client = start(double_review_rate=0.0)
    found = {}
    for name, role in (("ana", "reviewer"), ("ben", "reviewer"), ("sol", "seller")):
        found[name] = {"Authorization": f"Bearer {keys.add(client.server.store, name, role)}"}
    advance(client.server, 3)
    return client, found


def fill(client, headers, *products):
    answer = client.post(
        "/v1/review/items",
        json={"products": list(products)},
        params={"include_accepted": True},
        headers=headers,
    )
    assert answer.status_code == 200, answer.text
    return [entry["review_id"] for entry in answer.json()["results"]]


def borrow(client, headers, count=1):
    return client.post("/v1/review/next", json={"count": count}, headers=headers).json()["items"]


def decide(client, headers, number, chosen, **more):
    body = {"chosen": chosen}
    return client.post(f"/v1/review/items/{number}/decide", json=body, headers=headers | more)


def test_the_most_valuable_item_comes_first_and_is_lent_to_one(people):
    client, who = people
    fill(client, who["ana"], *({"id": f"{i}", "title": "thing", "priority": i} for i in (1, 5, 3)))
    assert [item["product"]["id"] for item in borrow(client, who["ana"], 2)] == ["5", "3"]
    assert [item["product"]["id"] for item in borrow(client, who["ben"], 2)] == ["1"]
    assert [item["product"]["id"] for item in borrow(client, who["ana"], 9)] == ["5", "3"]
    values = [item["expected_gain"] for item in borrow(client, who["ana"], 9)]
    assert values == sorted(values, reverse=True)


def test_a_decision_is_feedback_and_ends_the_item(people):
    client, who = people
    (number,) = fill(client, who["ana"], {"id": "x", "title": "blue clock"})
    item = borrow(client, who["ana"])[0]
    other = item["prediction"]["alternatives"][1]["path"]
    assert decide(client, who["ben"], number, other).status_code == 409  # lent to ana
    answer = decide(client, who["ana"], number, other).json()
    assert answer["how"] == "chosen"
    row = feedback_store.of_product(client.server.store, "x")[0]
    assert (row["review_id"], row["person"], row["role"]) == (number, "ana", "reviewer")
    assert [name for name, _ in row["suggested"]] == [
        one["path"] for one in item["prediction"]["alternatives"]
    ]
    assert borrow(client, who["ben"], 5) == []
    assert decide(client, who["ben"], number, other).json()["error"]["code"] == "decided"
    assert client.get(f"/v1/review/items/{number}", headers=who["ana"]).json()["state"] == "done"


def test_a_retried_decision_is_counted_once(people):
    client, who = people
    (number,) = fill(client, who["ana"], {"id": "x", "title": "blue clock"})
    best = borrow(client, who["ana"])[0]["prediction"]["best_id"]
    answers = [decide(client, who["ana"], number, best, **{"Idempotency-Key": "k"}).json() for _ in range(2)]
    assert [answer["repeated"] for answer in answers] == [False, True]
    assert client.get("/v1/review/progress", headers=who["ana"]).json()["done"] == 1


def test_skip_and_undo(people):
    client, who = people
    first, second = fill(
        client, who["ana"], {"id": "1", "title": "a", "priority": 2}, {"id": "2", "title": "b"}
    )
    borrow(client, who["ana"])
    assert client.post(f"/v1/review/items/{first}/skip", headers=who["ana"]).status_code == 204
    assert [item["id"] for item in borrow(client, who["ana"], 5)] == [second]
    assert client.post("/v1/review/undo", headers=who["ana"]).json()["id"] == first
    best = borrow(client, who["ana"])[0]["prediction"]["best_id"]
    decide(client, who["ana"], first, best)
    undone = client.post("/v1/review/undo", headers=who["ana"]).json()
    assert (undone["id"], undone["state"], undone["decided"]) == (first, "open", 0)
    assert (
        list(feedback_store.training_rows(client.server.store)) == []
    )  # what was taken back teaches nothing
    decide(client, who["ana"], first, best)
    assert len(list(feedback_store.training_rows(client.server.store))) == 1
    client.post("/v1/review/undo", headers=who["ben"])
    assert client.post("/v1/review/undo", headers=who["ben"]).json()["error"]["code"] == "nothing_to_undo"


def test_several_first_suggestions_accepted_at_once(people):
    client, who = people
    numbers = fill(client, who["ana"], *({"id": f"{i}", "title": "mug"} for i in range(3)))
    borrow(client, who["ben"], 1)
    client.server.settings = client.server.settings.model_copy(update={"batch_min_confidence": 0.0})
    sent = {"ids": [*numbers, 999], "confirm": True}
    items = client.post("/v1/review/accept", json=sent, headers=who["ana"]).json()["items"]
    assert [entry["error"] and entry["error"]["code"] for entry in items] == [
        "leased",
        None,
        None,
        "no_such_item",
    ]
    told = client.get("/v1/review/progress", headers=who["ana"]).json()
    # Nobody looked at each of them: they are no evidence that first suggestions are right.
    assert (told["done"], told["batch"], told["acceptance"]) == (2, 2, None)
    assert told["people"] == [{"person": "ana", "decided": 2, "batch": 2, "acceptance": None}]
    (day,) = client.get("/v1/acceptance", headers=who["ana"]).json()["days"]
    assert (day["batch"], day["accepted"], day["acceptance"]) == (2, 0, None)


def test_a_batch_has_a_floor_and_wants_to_be_confirmed(people):
    client, who = people
    titles = ("oak wall clock", "red running shoes", "zzz")
    numbers = fill(client, who["ana"], *({"id": title, "title": title} for title in titles))
    sure = [item["prediction"]["confidence"][-1] for item in borrow(client, who["ana"], 3)]
    floor = sorted(sure)[1]
    client.server.settings = client.server.settings.model_copy(update={"batch_min_confidence": floor})

    def accept(**sent):
        answer = client.post("/v1/review/accept", json={"ids": numbers, **sent}, headers=who["ana"]).json()
        return answer, {entry["id"]: entry["error"] and entry["error"]["code"] for entry in answer["items"]}

    answer, errors = accept()
    confidence = {entry["id"]: entry["confidence"] for entry in answer["items"]}
    assert (answer["confirmed"], answer["min_confidence"]) == (False, floor)
    assert errors == {n: "low_confidence" if confidence[n] < floor else None for n in numbers}
    assert sorted(errors.values(), key=str) == [None, None, "low_confidence"]
    assert feedback_store.count(client.server.store) == 0  # not confirmed: nothing is accepted
    assert set(accept(min_confidence=1.0, confirm=True)[1].values()) == {"low_confidence"}
    assert set(accept(min_confidence=0.0, confirm=True)[1].values()) == {None, "low_confidence"}
    assert feedback_store.count(client.server.store) == 2
    assert {row["how"] for row in feedback_store.training_rows(client.server.store)} == {"batch"}
    assert client.get("/v1/review/progress", headers=who["ana"]).json()["open"] == 1


def test_a_batch_does_not_move_the_share_of_right_first_suggestions(people):
    client, who = people
    client.server.settings = client.server.settings.model_copy(update={"batch_min_confidence": 0.0})
    numbers = fill(client, who["ana"], *({"id": f"{i}", "title": f"thing {i}"} for i in range(9)))
    for i, item in enumerate(borrow(client, who["ana"], 5)):
        paths = [one["path"] for one in item["prediction"]["alternatives"]]
        decide(client, who["ana"], item["id"], paths[1 if i == 0 else 0])
        numbers.remove(item["id"])
    assert client.get("/v1/review/progress", headers=who["ana"]).json()["acceptance"] == 0.8
    client.post("/v1/review/accept", json={"ids": numbers, "confirm": True}, headers=who["ana"])
    told = client.get("/v1/review/progress", headers=who["ana"]).json()
    assert (told["done"], told["batch"], told["acceptance"]) == (9, 4, 0.8)
    (day,) = client.get("/v1/acceptance", headers=who["ana"]).json()["days"]
    assert (day["chosen"], day["accepted"], day["batch"], day["acceptance"]) == (1, 4, 4, 0.8)


def test_items_are_given_back_and_held_for_longer(people):
    client, who = people
    numbers = fill(client, who["ana"], *({"id": f"{i}", "title": "mug", "priority": 9 - i} for i in range(3)))
    taken = borrow(client, who["ana"], 3)
    assert [item["leased_to_you"] for item in taken] == [True] * 3
    assert borrow(client, who["ben"], 3) == []

    def told(name, path, **sent):
        return client.post(f"/v1/review/{path}", json=sent, headers=who[name]).json()

    kept_longer = told("ana", "renew", ids=numbers, minutes=60)["ids"]
    assert kept_longer == numbers
    until = client.get(f"/v1/review/items/{numbers[0]}", headers=who["ana"]).json()["leased_until"]
    assert until > taken[0]["leased_until"]
    assert told("ben", "renew", ids=numbers) == {"ids": []}  # nobody renews what another person holds
    assert told("ben", "release", ids=numbers) == {"released": 0}
    assert told("ana", "release", ids=numbers[:1]) == {"released": 1}
    assert [item["id"] for item in borrow(client, who["ben"], 3)] == numbers[:1]
    assert told("ana", "renew", ids=numbers) == {"ids": numbers[1:]}
    assert told("ana", "release") == {"released": 2}
    assert [item["id"] for item in borrow(client, who["ben"], 3)] == numbers


def test_undo_leaves_an_item_with_the_person_who_looks_at_it(people):
    client, who = people
    client.server.settings = client.server.settings.model_copy(update={"double_review_rate": 1.0})
    (number,) = fill(client, who["ana"], {"id": "1", "title": "mug"})
    best = borrow(client, who["ana"])[0]["prediction"]["best_id"]
    decide(client, who["ana"], number, best)
    assert [item["id"] for item in borrow(client, who["ben"])] == [number]
    undone = client.post("/v1/review/undo", headers=who["ana"]).json()
    assert (undone["id"], undone["decided"], undone["leased_to_you"]) == (number, 0, False)
    assert decide(client, who["ana"], number, best).json()["error"]["code"] == "leased"
    assert decide(client, who["ben"], number, best).status_code == 200
    assert [item["id"] for item in borrow(client, who["ana"])] == [number]  # their turn again
    assert decide(client, who["ana"], number, best).status_code == 200
    assert client.get(f"/v1/review/items/{number}", headers=who["ana"]).json()["state"] == "done"


def test_undoing_a_skip_leaves_an_item_with_the_person_who_looks_at_it(people):
    client, who = people
    (number,) = fill(client, who["ana"], {"id": "1", "title": "mug"})
    best = borrow(client, who["ana"])[0]["prediction"]["best_id"]
    client.post(f"/v1/review/items/{number}/skip", headers=who["ana"])
    borrow(client, who["ben"])
    assert client.post("/v1/review/undo", headers=who["ana"]).json()["leased_to_you"] is False
    assert decide(client, who["ben"], number, best).status_code == 200


@pytest.mark.slow
def test_a_field_named_id_is_not_the_products_id(people):
    client, who = people
    fill(client, who["ana"], {"id": "A-1", "title": "mug", "fields": {"id": "B-2"}})
    assert borrow(client, who["ana"])[0]["product"]["id"] == "A-1"


def test_two_people_look_at_some_and_their_agreement_is_measured(people):
    client, who = people
    client.server.settings = client.server.settings.model_copy(update={"double_review_rate": 1.0})
    numbers = fill(client, who["ana"], *({"id": f"{i}", "title": f"thing {i}"} for i in range(4)))
    shown = {}
    for name in ("ana", "ben"):
        for item in borrow(client, who[name], 4):
            paths = [one["path"] for one in item["prediction"]["alternatives"]]
            shown[item["id"]] = paths[:2]
            alike = item["id"] != numbers[0] or name == "ana"
            decide(client, who[name], item["id"], paths[0 if alike else 1])
        assert borrow(client, who[name], 4) == []
    told = client.get("/v1/review/progress", headers=who["ana"]).json()
    assert (told["done"], told["agreement"]["pairs"], told["agreement"]["rate"]) == (4, 4, 0.75)
    assert {one["person"]: one["decided"] for one in told["people"]} == {"ana": 4, "ben": 4}
    assert told["by_pair"] == [{"people": ["ana", "ben"], "items": 4, "agreed": 3}]
    assert told["disagreements"] == [{"categories": sorted(shown[numbers[0]]), "items": 1}]


def test_classifying_can_queue_what_is_unsure(people):
    client, who = people
    sent = {"products": [{"id": "a", "title": "zzz"}, {"title": 3}]}
    response = client.post("/v1/classify", json=sent, params={"review": True}, headers=who["sol"])
    answers = response.json()["results"]
    queued = answers[0]["prediction"]["decision"] != "accept"
    assert (answers[0].get("review_id") is not None) == queued
    assert "review_id" not in answers[1]


def test_a_product_handed_in_again_waits_once(people):
    client, who = people
    first = fill(client, who["ana"], {"id": "1", "title": "old"})
    assert fill(client, who["ana"], {"id": "1", "title": "new"}) == first
    assert borrow(client, who["ana"], 5)[0]["product"]["title"] == "new"


def test_images_are_kept_small_and_shown(people):
    client, who = people
    data = base64.b64encode(image_bytes(size=(2000, 1000))).decode()
    fill(client, who["ana"], {"id": "p", "title": "clock", "images": [{"base64": data}, {"base64": "AAAA"}]})
    item = borrow(client, who["ana"])[0]
    assert len(item["images"]) == 1
    assert item["missing_images"] == [{"image": 2, "url": None, "reason": "not an image of a known format"}]
    shown = client.get(item["images"][0], headers=who["sol"])
    assert shown.headers["content-type"] == "image/jpeg"
    assert client.get(item["images"][0]).status_code == 401
    from aisle.data import ImageRef
    from aisle.data.images import decode

    assert decode(ImageRef(data=shown.content)).size == (512, 256)


@pytest.mark.slow
def test_a_products_page_and_acceptance_over_time(people):
    client, who = people
    (number,) = fill(client, who["ana"], {"id": "x/1 ü", "title": "blue clock"})
    best = borrow(client, who["ana"])[0]["prediction"]["best_id"]
    decide(client, who["ana"], number, best)
    page = client.get("/v1/products/x%2F1%20%C3%BC", headers=who["ana"]).json()
    assert (page["fields"], page["feedback"][0]["person"]) == ({"title": "blue clock"}, "ana")
    assert "person" not in client.get("/v1/products/x%2F1%20%C3%BC", headers=who["sol"]).json()["feedback"][0]
    assert client.get("/v1/products/none", headers=who["ana"]).status_code == 404
    (day,) = client.get("/v1/acceptance", headers=who["ana"]).json()["days"]
    assert (day["accepted"], day["acceptance"]) == (1, 1.0)
    listed = client.get("/v1/products", params={"category": best.split(" > ")[0]}, headers=who["sol"]).json()
    assert [row["id"] for row in listed["products"]] == ["x/1 ü"]


def test_the_report_is_served(people, trained):
    client, who = people
    told = client.get("/v1/report", headers=who["sol"]).json()
    assert told["model_id"] == client.server.registry.state.get().model_id
    page = client.get("/v1/report.html", headers=who["sol"])
    assert page.text == (trained.run / "report" / "report.html").read_text()
    assert "default-src 'none'" in page.headers["content-security-policy"]


def ask(client, headers, **more):
    return client.post("/v1/review/next", json={"count": 9} | more, headers=headers).json()


def test_the_queue_is_filtered_and_sorted(people):
    client, who = people
    fill(
        client,
        who["ana"],
        {"id": "1", "title": "Blue CLOCK", "priority": 9},
        {"id": "2", "title": "blue mug"},
        {"id": "3", "title": "100% wool"},
    )
    fill(client, who["ben"], {"id": "4", "title": "silver ring"})
    every = ask(client, who["ana"], order="oldest")
    assert every["matching"] == 4
    assert [item["product"]["id"] for item in every["items"]] == ["1", "2", "3", "4"]
    assert [item["queued_by"] for item in every["items"]] == ["ana", "ana", "ana", "ben"]

    def ids(**where):
        found = ask(client, who["ana"], **where)
        assert found["matching"] == len(found["items"])
        return {item["product"]["id"] for item in found["items"]}

    assert ids(query="blue") == {"1", "2"}
    assert ids(query="0%") == {"3"}  # no wildcard
    assert ids(query="blue", queued_by="ben") == set()
    assert ids(queued_by="ben") == {"4"}
    newest = ask(client, who["ana"], order="newest")["items"]
    assert [item["product"]["id"] for item in newest] == ["4", "3", "2", "1"]
    sure = ask(client, who["ana"], order="most-confident")["items"]
    shares = [item["prediction"]["confidence"][-1] for item in sure]
    assert shares == sorted(shares, reverse=True)
    middle = shares[1]
    assert ids(min_confidence=middle) == {
        item["product"]["id"] for item in sure if item["prediction"]["confidence"][-1] >= middle
    }
    assert ids(max_confidence=0.0) == set()
    top = sure[0]["prediction"]["best"].split(" > ")[0]
    assert ids(branch=top) == {
        item["product"]["id"] for item in sure if item["prediction"]["best"].split(" > ")[0] == top
    }
    assert ids(branch=top[:-1]) == set()
    assert client.post("/v1/review/next", json={"order": "price"}, headers=who["ana"]).status_code == 422


def test_notes_and_flags_are_seen_by_others_and_stay(people):
    client, who = people
    (number,) = fill(client, who["ana"], {"id": "x", "title": "blue clock"})
    url = f"/v1/review/items/{number}/note"
    answer = client.put(url, json={"note": " Ask the brand. ", "flagged": True}, headers=who["ana"]).json()
    assert (answer["note"], answer["flagged"]) == ("Ask the brand.", True)
    assert client.put(url, json={"flagged": False}, headers=who["ben"]).json()["note"] == "Ask the brand."
    assert ask(client, who["ben"], flagged=True)["items"] == []
    client.put(url, json={"flagged": True}, headers=who["ben"])
    fill(client, who["ana"], {"id": "x", "title": "blue clock again"})  # replaced, as nobody has touched it
    (item,) = ask(client, who["ben"], flagged=True)["items"]
    assert (item["product"]["title"], item["note"]) == ("blue clock again", "Ask the brand.")
    assert client.put(url, json={"note": "x" * 2001}, headers=who["ana"]).status_code == 422
    assert client.put("/v1/review/items/99/note", json={}, headers=who["ana"]).status_code == 404


def test_what_was_done_is_listed_and_any_step_is_undone(people):
    client, who = people
    numbers = fill(client, who["ana"], *({"id": f"{i}", "title": f"mug {i}"} for i in range(3)))
    best = ask(client, who["ana"])["items"][0]["prediction"]["best_id"]
    decide(client, who["ana"], numbers[0], best)
    client.post(f"/v1/review/items/{numbers[1]}/skip", headers=who["ana"])
    assert client.post(f"/v1/review/items/{numbers[2]}/discard", headers=who["ana"]).status_code == 204
    assert client.get(f"/v1/review/items/{numbers[2]}", headers=who["ana"]).json()["state"] == "discarded"
    assert ask(client, who["ben"])["matching"] == 1  # what was skipped
    answer = client.post(f"/v1/review/items/{numbers[2]}/discard", headers=who["ben"])
    assert answer.json()["error"]["code"] == "decided"

    def done():
        actions = client.get("/v1/review/history", headers=who["ana"]).json()["actions"]
        return [(one["kind"], one["item_id"], one["undone"]) for one in actions]

    assert sorted(done()) == [
        ("decided", numbers[0], False),
        ("discarded", numbers[2], False),
        ("skipped", numbers[1], False),
    ]
    undone = client.post(f"/v1/review/items/{numbers[0]}/undo", headers=who["ana"]).json()
    assert (undone["id"], undone["state"], undone["decided"]) == (numbers[0], "open", 0)
    assert ("decided", numbers[0], True) in done()
    undone = client.post(f"/v1/review/items/{numbers[2]}/undo", headers=who["ana"]).json()
    assert (undone["id"], undone["state"], undone["leased_to_you"]) == (numbers[2], "open", True)
    again = client.post(f"/v1/review/items/{numbers[2]}/undo", headers=who["ana"]).json()
    assert again["error"]["code"] == "nothing_to_undo"
    assert client.post("/v1/review/undo", headers=who["ana"]).json()["id"] == numbers[1]
    assert client.get("/v1/review/history", headers=who["ben"]).json()["actions"] == []


def test_evidence_names_words_and_similar_products(people):
    client, who = people
    (number,) = fill(client, who["ana"], {"id": "x", "title": "a blue clock for the wall"})
    answer = client.get(f"/v1/review/items/{number}/evidence", headers=who["ana"])
    assert answer.status_code == 200, answer.text
    found = answer.json()
    item = client.get(f"/v1/review/items/{number}", headers=who["ana"]).json()
    assert " > ".join(found["path"]) == item["prediction"]["best"]
    assert [word["word"] for word in found["words"]] == ["blue", "clock", "wall"]  # no stop words
    assert found["regions"] is None
    assert found["similar"] == []  # this server has no index


def test_a_label_and_a_note_are_shown_and_the_label_is_kept(people):
    client, who = people
    tree = client.get("/v1/taxonomy", headers=who["ana"]).json()["nodes"]
    label = " > ".join(next(node["path"] for node in tree if node["assignable"]))
    sent = {"id": "x", "title": "blue clock", "label": f" {label} ", "note": "Proposed: Clocks"}
    (number,) = fill(client, who["ana"], sent)
    item = borrow(client, who["ben"])[0]
    assert (item["label"], item["note"]) == (label, "Proposed: Clocks")
    assert decide(client, who["ben"], number, item["label"]).status_code == 200
    row = feedback_store.of_product(client.server.store, "x")[0]
    assert " > ".join(row["chosen"]) == label
    (other,) = fill(client, who["ana"], {"id": "y", "title": "mug"})
    assert client.get(f"/v1/review/items/{other}", headers=who["ana"]).json()["label"] == ""
