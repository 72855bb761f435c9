import threading
import time

import numpy as np
import pytest
import torch

import aisle
from aisle.errors import BundleError
from aisle.server.models import Slot
from aisle.server.settings import Limits, Settings
from aisle.server.state import Server
from tests.server.test_classify import classify


@pytest.fixture(scope="module")
def worse(trained, tmp_path_factory):
    """The same model with its last layer's weights shuffled: it loads, and knows nothing."""
    import copy
    import dataclasses

    model = copy.deepcopy(trained.model.model)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)) * 0.01)
    folder = tmp_path_factory.mktemp("worse")
    dataclasses.replace(trained.model, model=model).save(folder)
    return folder


@pytest.fixture
def two(start, trained, worse, shop):
    return start(
        runs={"shop": trained.run, "worse": worse, "same": trained.run / "model"}, gold=shop.products
    )


def test_models_are_compared_on_the_same_product(two):
    answer = two.post(
        "/v1/classify", json={"products": [{"title": "clock"}]}, params={"models": "worse,shop"}
    )
    told = answer.json()
    entry = told["answers"][0]
    assert list(entry["models"]) == ["worse", "shop"]
    assert entry["prediction"] == entry["models"]["worse"]
    assert entry["models"]["worse"]["model_id"] != entry["models"]["shop"]["model_id"]
    unknown = two.post("/v1/classify", json={"products": [{}]}, params={"models": "shp"})
    assert "Did you mean 'shop'" in unknown.json()["error"]["message"]


def test_a_worse_model_is_not_promoted(two):
    answer = two.post("/v1/models/worse/promote")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "worse")
    assert two.get("/v1/models").json()["live"] == "shop"
    (change,) = two.get("/v1/models/history").json()["changes"]
    assert change["what"] == "refused"
    assert change["measured"]["candidate"] < change["measured"]["live"]
    assert change["measured"]["high"] < 0


def test_an_equal_model_is_promoted_and_rolled_back(two):
    told = two.post("/v1/models/same/promote").json()
    assert (told["live"], told["measured"]["difference"]) == ("same", 0)
    assert two.post("/v1/classify", json={"products": [{}]}).json()["model"] == "same"
    assert two.post("/v1/models/rollback").json()["live"] == "shop"
    assert two.post("/v1/models/rollback").json()["error"]["code"] == "nothing_before"


def test_what_is_live_survives_a_restart(two):
    two.post("/v1/models/same/promote")
    again = Server.start(two.server.settings)
    try:
        assert (again.models.standing.live, again.models.standing.before) == ("same", ("shop",))
    finally:
        again.stop()


def test_a_shadow_that_was_promoted_does_not_hinder_the_next_start(two):
    two.post("/v1/models/same/promote")
    again = Server.start(two.server.settings.model_copy(update={"shadow": "same"}))
    try:
        standing = again.models.standing
        assert (standing.live, standing.shadow, standing.before) == ("same", None, ("shop",))
    finally:
        again.stop()


def test_other_weights_under_a_promoted_name_were_never_judged(two, worse):
    two.post("/v1/models/same/promote")
    runs = {**two.server.settings.runs, "same": worse}
    again = Server.start(two.server.settings.model_copy(update={"runs": runs}))
    try:
        assert (again.models.standing.live, again.models.standing.before) == ("shop", ())
    finally:
        again.stop()


def test_without_a_fixed_set_nothing_is_promoted(start, trained, worse):
    client = start(runs={"shop": trained.run, "worse": worse})
    assert client.post("/v1/models/worse/promote").json()["error"]["code"] == "no_gold"


def test_a_shadow_answers_unseen_and_is_recorded(two):
    assert two.post("/v1/shadow", json={"model": "worse"}).json()["shadow"] == "worse"
    answers = classify(two, *({"title": f"thing {i}"} for i in range(5)), {"title": 1})
    assert "models" not in answers[0]
    two.server.batcher.close()
    two.server.recorder.close()
    told = two.get("/v1/shadow").json()
    assert (told["model"], told["live"], told["products"]) == ("worse", "shop", 5)
    assert sum(told["decisions"].values()) == 5


def test_the_shadow_of_nobody(two):
    assert two.get("/v1/shadow").status_code == 404
    assert two.post("/v1/shadow", json={"model": "shop"}).json()["error"]["code"] == "is_live"
    assert two.post("/v1/shadow", json={"model": None}).json()["shadow"] is None


def test_models_are_loaded_from_the_library_only(start, worse):
    client = start(library=worse.parent)
    told = client.post("/v1/models", json={"name": "new", "folder": worse.name}).json()
    assert [model["name"] for model in told["models"]] == ["shop", "new"]
    for folder in ("../..", "/", "/etc"):
        answer = client.post("/v1/models", json={"name": "x", "folder": folder})
        assert answer.json()["error"]["code"] == "outside"
    assert client.post("/v1/models", json={"name": "x", "folder": "nothing"}).status_code == 422
    assert client.post("/v1/models", json={"name": "shop", "folder": worse.name}).status_code == 409
    assert [m["name"] for m in client.delete("/v1/models/new").json()["models"]] == ["shop"]
    assert client.delete("/v1/models/shop").json()["error"]["code"] == "is_live"


def test_models_change_under_load_without_a_lost_or_mixed_answer(two):
    from concurrent.futures import ThreadPoolExecutor

    def ask(i):
        answer = two.post("/v1/classify", json={"products": [{"id": str(i), "title": f"clock {i}"}]})
        return i, answer.status_code, answer.json()["answers"][0]["prediction"]["id"]

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, i) for i in range(120)]
        for _ in range(3):
            assert two.post("/v1/models/same/promote").status_code == 200
            assert two.post("/v1/models/rollback").status_code == 200
        answers = [future.result() for future in asked]
    assert answers == [(i, 200, str(i)) for i in range(120)]


@pytest.mark.slow
def test_callers_are_not_refused_while_a_model_is_judged(start, trained, shop, monkeypatch):
    plain = Slot.predict

    def slow(slot, products):
        time.sleep(0.02 * len(products))
        return plain(slot, products)

    monkeypatch.setattr(Slot, "predict", slow)
    runs = {"shop": trained.run, "same": trained.run / "model"}
    client = start(runs=runs, gold=shop.products, limits=Limits(patience=3))  # all at once: 4.8 s
    said = []
    judging = threading.Thread(target=lambda: said.append(client.post("/v1/models/same/promote")))
    judging.start()
    codes = []
    while judging.is_alive():
        codes.append(client.post("/v1/classify", json={"products": [{"title": "clock"}]}).status_code)
    judging.join()
    assert said[0].json()["live"] == "same"
    assert len(codes) > 3
    assert set(codes) == {200}


def test_a_run_that_is_none(tmp_path):
    with pytest.raises(BundleError):
        Server.start(Settings(runs={"x": tmp_path / "none"}, store=str(tmp_path / "s.db")))


def test_a_shuffled_model_is_really_worse(worse, trained):
    found = aisle.load(worse).predict(trained.catalog)
    right = [p.best in q.categories for p, q in zip(found, trained.catalog, strict=True)]
    assert np.mean(right) < 0.3
