"""The ML backend of Label Studio, as Label Studio calls it."""

import base64

import pytest

from aisle.data import Product
from aisle.inference.label_studio import label_config, task
from aisle.server.store import feedback as feedback_store
from tests.server.test_security import key

OWN = '<View><Text name="t" value="$text"/><Taxonomy name="kind" toName="t"/></View>'


def ask(client, path, status=200, **sent):
    answer = client.post(f"/label-studio/{path}", json=sent)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_it_is_healthy_and_names_the_live_model(client, trained):
    assert client.get("/label-studio/health").json()["status"] == "UP"
    found = ask(client, "setup", project="1.2", schema=label_config(trained.model.taxonomy))
    assert found == {"model_version": trained.model.model_id}
    error = ask(client, "setup", 422, schema="<View><Text name='t' value='$t'/></View>")["error"]
    assert "no Taxonomy tag" in error["message"]
    assert client.get("/label-studio/versions").json() == {"versions": [trained.model.model_id]}


def test_tasks_are_predicted_as_by_the_library(client, trained):
    products = [product for product in trained.catalog if product.images][:3]
    tasks = [{"id": i, **task(product)} for i, product in enumerate(products)]
    found = ask(client, "predict", tasks=tasks, label_config=OWN)
    assert found["model_version"] == trained.model.model_id
    for result, product in zip(found["results"], products, strict=True):
        (region,) = result["result"]
        assert (region["from_name"], region["to_name"], region["type"]) == ("kind", "t", "taxonomy")
        (best,) = region["value"]["taxonomy"]
        (without_image,) = trained.model.predict([Product(product.id, product.fields)])
        assert len(best) == len(set(best))
        assert best[0] == without_image.best[0]  # thumbnails differ a little from the images
        assert result["score"] == region["score"] > 0


def test_any_names_of_data_are_read_and_nothing_is_a_review(client, trained):
    tasks = [
        {"id": 1, "data": {"text": "red running shoes"}},
        {"id": 2, "data": {"image": "https://x.example/a.jpg"}},
    ]
    first, second = ask(client, "predict", tasks=tasks)["results"]
    (expected,) = trained.model.predict([Product("1", {"title": "red running shoes"})])
    assert first["result"][0]["value"]["taxonomy"] == [list(expected.best)]
    assert first["score"] == pytest.approx(expected.confidence[-1], abs=1e-6)
    assert second["score"] < first["score"]


@pytest.mark.parametrize("sent", [{}, {"tasks": {}}, {"tasks": [1]}])
def test_what_is_no_list_of_tasks_is_refused(client, sent):
    assert ask(client, "predict", 422, **sent)["error"]["code"] == "bad_request"


def annotated(path, **more):
    value = {
        "from_name": "category",
        "to_name": "title",
        "type": "taxonomy",
        "value": {"taxonomy": [list(path)]},
    }
    return {"id": 5, "completed_by": 3, "updated_at": "2026-01-01", "result": [value], **more}


def test_an_annotation_is_stored_as_feedback(start, trained):
    client = start()
    product = next(product for product in trained.catalog if product.images)
    sent = {"action": "ANNOTATION_CREATED", "task": task(product), "project": {"id": 1}}
    sent["annotation"] = annotated(product.categories[0])
    found = ask(client, "webhook", **sent)
    assert (found["stored"], found["repeated"]) == (True, False)
    assert ask(client, "webhook", **sent)["repeated"] is True  # sent twice, counted once
    (row,) = feedback_store.training_rows(client.server.store)
    assert (row["id"], tuple(row["category"])) == (product.id, product.categories[0])
    assert row["title"] == product.fields["title"]
    assert len(row["images"]) == 1
    other = next(n.path for n in trained.model.taxonomy.nodes if n.path != product.categories[0])
    sent |= {"action": "ANNOTATION_UPDATED", "annotation": annotated(other, updated_at="2026-01-02")}
    assert ask(client, "webhook", **sent)["repeated"] is False
    (row,) = feedback_store.training_rows(client.server.store)
    assert tuple(row["category"]) == other


def test_other_events_store_nothing(start):
    client = start()
    for sent in (
        {"action": "TASKS_CREATED"},
        {"action": "START_TRAINING", "project": {}},
        {"action": "ANNOTATION_CREATED", "task": {}, "annotation": annotated(["Nowhere"])},
        {"action": "ANNOTATION_CREATED", "task": {}, "annotation": annotated(["A"], was_cancelled=True)},
    ):
        assert ask(client, "webhook", **sent)["stored"] is False
    assert list(feedback_store.training_rows(client.server.store)) == []


def test_the_key_is_the_password_of_basic_authentication(start):
    client = start()
    bearer = key(client)["Authorization"].removeprefix("Bearer ")
    assert client.get("/label-studio/health").status_code == 401
    for user in ("", "aisle"):
        basic = base64.b64encode(f"{user}:{bearer}".encode()).decode()
        assert (
            client.get("/label-studio/health", headers={"Authorization": f"Basic {basic}"}).status_code == 200
        )
    for wrong in ("%%%", base64.b64encode(b"aisle:wrong").decode(), base64.b64encode(b"aisle").decode()):
        answer = client.get("/label-studio/health", headers={"Authorization": f"Basic {wrong}"})
        assert answer.status_code == 401
