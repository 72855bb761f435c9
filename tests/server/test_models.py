import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

import aisle
from aisle import workflow
from aisle.cli import register
from aisle.errors import BundleError
from aisle.guarantee import OperatingPoint, PolicyError, Settings
from aisle.guarantee.rule import NEVER
from aisle.server.model_registry import ModelRegistry
from aisle.server.settings import RequestLimits
from aisle.server.state import Server
from tests.server.conftest import Wrapped, patient
from tests.server.test_classify import classify
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def worse(trained, tmp_path_factory):
    """The same model with its categories' weights shuffled: it loads, and knows nothing."""
    model = trained.model.model
    order = np.random.default_rng(1).permutation(len(model.counts))
    shuffled = model.terminals._replace(coef=model.terminals.coef[:, order])
    model = model._replace(terminals=shuffled, level1=None, kernels={})
    folder = tmp_path_factory.mktemp("worse")
    dataclasses.replace(trained.model, model=model).save(folder)
    return folder


@pytest.fixture
def two(start, trained, worse, shop):
    return start(
        runs={"shop": trained.run, "worse": worse, "same": trained.run / "model"}, golden_set=shop.products
    )


def test_models_are_compared_on_the_same_product(two):
    answer = two.post(
        "/v1/classify", json={"products": [{"title": "clock"}]}, params={"models": "worse,shop"}
    )
    told = answer.json()
    entry = told["results"][0]
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
    assert change["action"] == "refused"
    assert change["comparison"]["candidate"] < change["comparison"]["live"]
    assert change["comparison"]["high"] < 0


def test_an_equal_model_is_promoted_and_rolled_back(two):
    told = two.post("/v1/models/same/promote").json()
    assert (told["live"], told["comparison"]["difference"]) == ("same", 0)
    assert two.post("/v1/classify", json={"products": [{}]}).json()["model"] == "same"
    assert two.post("/v1/models/rollback").json()["live"] == "shop"
    assert two.post("/v1/models/rollback").json()["error"]["code"] == "no_previous_model"


def test_what_would_change_is_counted_by_branch(two, shop):
    found = two.get("/v1/models/worse/changes").json()
    golden = len(two.server.golden_set)
    assert (found["model"], found["live"], found["products"]) == ("worse", "shop", golden)
    assert (found["new_categories"], found["missing_categories"]) == ([], [])
    assert found["changed"] == sum(one["changed"] for one in found["branches"]) > 0
    assert all(one["changed"] <= one["products"] for one in found["branches"])
    assert len(found["sample"]) == min(200, found["changed"])
    assert all(one["live"] != one["candidate"] and one["label"] for one in found["sample"])
    confidences = [one["candidate_confidence"] for one in found["sample"]]
    assert confidences == sorted(confidences, reverse=True)
    same = two.get("/v1/models/same/changes").json()
    assert (same["changed"], same["branches"], same["sample"]) == (0, [], [])
    assert same["automatic"] == same["live_automatic"]
    assert two.get("/v1/models/none/changes").status_code == 404


def test_products_with_feedback_are_compared_too(start, trained, worse):
    client = start(runs={"shop": trained.run, "worse": worse})
    assert client.get("/v1/models/worse/changes").json()["products"] == 0
    (result,) = classify(client, {"id": "A-1", "title": "wall clock"})
    best = result["prediction"]["best_id"]
    sent = {"product": {"id": "A-1", "title": "wall clock"}, "chosen": best}
    assert client.post("/v1/feedback", json=sent).status_code == 200
    found = client.get("/v1/models/worse/changes").json()
    assert found["products"] == 1
    assert [(one["id"], one["label"]) for one in found["sample"]] == [("A-1", result["prediction"]["best"])]


@pytest.mark.slow
def test_what_is_live_survives_a_restart(two):
    two.post("/v1/models/same/promote")
    again = Server.start(two.server.settings)
    try:
        assert (again.registry.state.live, again.registry.state.previous) == ("same", ("shop",))
    finally:
        again.stop()


@pytest.mark.slow
def test_a_shadow_that_was_promoted_does_not_hinder_the_next_start(two):
    two.post("/v1/models/same/promote")
    again = Server.start(two.server.settings.model_copy(update={"shadow": "same"}))
    try:
        state = again.registry.state
        assert (state.live, state.shadow, state.previous) == ("same", None, ("shop",))
    finally:
        again.stop()


@pytest.mark.slow
def test_other_weights_under_a_promoted_name_were_never_judged(two, worse):
    two.post("/v1/models/same/promote")
    runs = {**two.server.settings.runs, "same": worse}
    again = Server.start(two.server.settings.model_copy(update={"runs": runs}))
    try:
        assert (again.registry.state.live, again.registry.state.previous) == ("shop", ())
    finally:
        again.stop()


def test_without_a_fixed_set_nothing_is_promoted(start, trained, worse):
    client = start(runs={"shop": trained.run, "worse": worse})
    assert client.post("/v1/models/worse/promote").json()["error"]["code"] == "no_golden_set"


def test_a_shadow_answers_unseen_and_is_recorded(two):
    assert two.post("/v1/shadow", json={"model": "worse"}).json()["shadow"] == "worse"
    answers = classify(two, *({"title": f"thing {i}"} for i in range(5)), {"title": 1})
    assert "models" not in answers[0]
    two.server.batcher.close()
    two.server.shadow_recorder.close()
    told = two.get("/v1/shadow").json()
    assert (told["model"], told["live"], told["products"]) == ("worse", "shop", 5)
    assert sum(told["decisions"].values()) == 5


@pytest.mark.slow
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
        assert answer.json()["error"]["code"] == "outside_library"
    assert client.post("/v1/models", json={"name": "x", "folder": "nothing"}).status_code == 422
    assert client.post("/v1/models", json={"name": "shop", "folder": worse.name}).status_code == 409
    assert [m["name"] for m in client.delete("/v1/models/new").json()["models"]] == ["shop"]
    assert client.delete("/v1/models/shop").json()["error"]["code"] == "is_live"


@pytest.mark.slow
def test_models_change_under_load_without_a_lost_or_mixed_answer(two):
    def ask(i):
        answer = two.post("/v1/classify", json={"products": [{"id": str(i), "title": f"clock {i}"}]})
        return i, answer.status_code, answer.json()["results"][0]["prediction"]["id"]

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, i) for i in range(120)]
        for _ in range(3):
            assert two.post("/v1/models/same/promote").status_code == 200
            assert two.post("/v1/models/rollback").status_code == 200
        answers = [future.result() for future in asked]
    assert answers == [(i, 200, str(i)) for i in range(120)]


@pytest.mark.slow
def test_callers_are_not_refused_while_a_model_is_judged(start, trained, shop):
    # By the queue's clock, a product takes 20 ms: all of the golden set at once 4.8 s.
    now, judging = [0.0], threading.Event()

    class Slow(Wrapped):
        def predict(self, products):
            now[0] += 0.02 * len(products)
            if judging.is_set() and all(product.fields.get("title") != "clock" for product in products):
                wait_until(lambda: client.server.batcher.waiting > len(products))  # somebody asks meanwhile
            return self.model.predict(products)

    client = start(
        runs={"shop": trained.run, "same": trained.run / "model"},
        golden_set=shop.products,
        limits=RequestLimits(max_wait_s=3),
        load=lambda folder: Slow(trained.model),
        clock=lambda: now[0],
    )
    said, codes = [], []
    judge = threading.Thread(target=lambda: said.append(client.post("/v1/models/same/promote")))
    judging.set()
    judge.start()
    while judge.is_alive():
        codes.append(client.post("/v1/classify", json={"products": [{"title": "clock"}]}).status_code)
    judge.join()
    assert said[0].json()["live"] == "same"
    assert len(codes) > 3
    assert set(codes) == {200}


def test_a_run_that_is_none(tmp_path):
    with pytest.raises(BundleError):
        Server.start(patient(runs={"x": tmp_path / "none"}, store=str(tmp_path / "s.db")))


def test_a_shuffled_model_is_really_worse(worse, trained):
    found = aisle.load(worse).predict(trained.catalog)
    right = [p.best in q.categories for p, q in zip(found, trained.catalog, strict=True)]
    assert np.mean(right) < 0.3


class Gated(Wrapped):
    """A model that answers only once it may, and says when it is asked."""

    def __init__(self, model):
        super().__init__(model)
        self.asked, self.go = threading.Event(), threading.Event()

    def predict(self, products):
        self.asked.set()
        assert self.go.wait(60)
        return self.model.predict(products)


@pytest.fixture
def racing(start, trained, worse, shop):
    """A server whose models load when `loading[name]` lets them, if it is there; and that event."""
    client = start(golden_set=shop.products, library=worse.parent)
    loading, begun = {}, threading.Event()
    models = {"live": trained.model, worse.name: aisle.load(worse)}

    def load(folder):
        if folder.name in loading:
            begun.set()
            assert loading[folder.name].wait(60)
        return models.get(folder.name, trained.model)

    client.server.registry = ModelRegistry({"live": worse.parent / "live", "new": worse.parent / "new"}, load)
    client.loading, client.begun, client.made = loading, begun, models
    return client


@pytest.mark.slow
def test_weights_loaded_while_their_name_is_promoted_do_not_go_live(racing, worse):
    judged = racing.server.registry.state.get("new")
    gate = racing.loading[worse.name] = threading.Event()
    with ThreadPoolExecutor(1) as other:
        late = other.submit(racing.post, "/v1/models", json={"name": "new", "folder": worse.name})
        assert racing.begun.wait(60)  # it was not live when loading began
        assert racing.post("/v1/models/new/promote").status_code == 200
        gate.set()
        answer = late.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "is_live")
    assert racing.server.registry.state.get() is judged
    assert racing.get("/v1/models").json()["models"][1]["model_id"] == judged.model_id


def test_a_candidate_that_was_replaced_while_it_was_judged_is_not_promoted(racing, worse):
    model = racing.made["slow"] = Gated(racing.server.registry.state.get("live").predictor)
    model.go.set()
    racing.post("/v1/models", json={"name": "slow", "folder": "slow"})
    model.asked.clear()
    model.go.clear()
    with ThreadPoolExecutor(1) as other:
        promoted = other.submit(racing.post, "/v1/models/slow/promote")
        assert model.asked.wait(60)
        racing.post("/v1/models", json={"name": "slow", "folder": worse.name})
        model.go.set()
        answer = promoted.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "changed")
    assert racing.get("/v1/models").json()["live"] == "live"
    assert racing.get("/v1/models/history").json()["changes"] == []


@pytest.mark.slow
def test_what_was_judged_against_another_live_model_is_not_promoted(racing):
    """A rollback in the middle: the candidate was compared with a model that is not live any more."""
    racing.post("/v1/models/new/promote")
    model = racing.made["slow"] = Gated(racing.server.registry.state.get("live").predictor)
    model.go.set()
    racing.post("/v1/models", json={"name": "slow", "folder": "slow"})
    model.asked.clear()
    model.go.clear()
    with ThreadPoolExecutor(1) as other:
        promoted = other.submit(racing.post, "/v1/models/slow/promote")
        assert model.asked.wait(60)
        assert racing.post("/v1/models/rollback").json()["live"] == "live"
        model.go.set()
        answer = promoted.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "changed")
    assert racing.get("/v1/models").json()["live"] == "live"


@pytest.mark.slow
def test_other_weights_under_an_earlier_name_are_not_gone_back_to(racing, worse):
    racing.post("/v1/models/new/promote")
    loaded = racing.post("/v1/models", json={"name": "live", "folder": worse.name})
    assert (loaded.status_code, loaded.json()["previous"]) == (200, [])
    assert racing.post("/v1/models/rollback").json()["error"]["code"] == "no_previous_model"
    assert racing.get("/v1/models").json()["live"] == "new"
    racing.post("/v1/models", json={"name": "old", "folder": "live"})
    racing.post("/v1/models/old/promote")
    racing.post("/v1/models", json={"name": "new", "folder": "new"})  # the very same weights
    assert racing.post("/v1/models/rollback").json()["live"] == "new"


def test_a_promotion_that_cannot_be_written_down_does_not_happen(two):
    def refuse(*_):
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    event.listen(two.server.store.engine, "before_cursor_execute", refuse)
    try:
        assert two.post("/v1/models/same/promote").status_code == 503
    finally:
        event.remove(two.server.store.engine, "before_cursor_execute", refuse)
    assert two.get("/v1/models").json()["live"] == "shop"


def test_a_model_that_decides_nothing_has_no_guarantee(start, trained, tmp_path):
    """As where it was calibrated on too few rows: there are rules, and none lets anything through."""
    for name, price in (("nothing", NEVER), ("sure", 1e-9)):
        point = OperatingPoint(trained.model.policy.settings.precision, price, NEVER, (), 0, 0.0, ())
        policy = dataclasses.replace(trained.model.policy, curve=(point,), ood=None)
        dataclasses.replace(trained.model, policy=policy).save(tmp_path / name)
    client = start(runs={name: tmp_path / name for name in ("nothing", "sure")})
    told = {one["name"]: one["guarantee"] for one in client.get("/v1/models").json()["models"]}
    assert told == {"nothing": False, "sure": True}
    sent = {"products": [{"title": "oak clock"}]}
    answers = client.post("/v1/classify?models=nothing,sure", json=sent).json()
    decisions = {name: one["decision"] for name, one in answers["results"][0]["models"].items()}
    assert decisions == {"nothing": "review", "sure": "accept"}


@pytest.mark.slow
def test_the_number_of_training_products_is_one_number(start, trained, tmp_path):
    """In the API, the tree, the report, the model card and on the command line."""
    catalog = trained.catalog
    train = catalog.select(catalog.split == "train")
    expected = int(((train.targets().node >= 0) & ~train.fatal).sum())
    (told,) = start().get("/v1/models").json()["models"]
    nodes = start().get("/v1/taxonomy").json()["nodes"]
    products = {node["id"]: node["products"] for node in nodes}
    top = {node["id"] for node in nodes if node["parent"] is None}
    _, found = workflow.report(trained.model, catalog, tmp_path)
    found.write(tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    page = (tmp_path / "report" / "report.html").read_text()
    card = CliRunner().invoke(register(), ["info", str(trained.run)]).output
    tree = CliRunner().invoke(register(), ["info", str(trained.run), "--tree"]).output
    lines = (
        (line.split("[")[-1].rstrip("]"), line.split()[0].replace(",", "")) for line in tree.splitlines()
    )
    shown = {name: int(count) for name, count in lines}
    assert told["training_products"] == expected
    assert sum(products[name] for name in top) == expected
    assert shown == products
    assert (report["training_products"], report["baseline"]["train_products"]) == (expected, expected)
    assert {node["id"]: node["train"] for node in report["nodes"]}.items() <= products.items()
    assert f"fitted on the same {expected:,} training products" in page
    assert f"{expected:,} training products" in " ".join(card.split())


def test_the_operating_curve_is_that_of_info(start, trained, tmp_path):
    curve = (
        OperatingPoint(0.95, NEVER, NEVER, (), 192, 0.0, (0.0, 0.0)),
        OperatingPoint(0.9, 2.0, 8.0, (), 192, 0.412, (0.035, 0.1)),
    )
    policy = dataclasses.replace(trained.model.policy, settings=Settings(0.95), curve=curve)
    trained.model.with_policy(policy).save(tmp_path / "model")
    info = CliRunner().invoke(register(), ["info", str(tmp_path / "model"), "--json"])
    (model,) = start(runs={"shop": tmp_path / "model"}).get("/v1/models").json()["models"]
    assert model["operating_curve"] == json.loads(info.stdout)["operating_curve"]
    assert [p["full"] for p in model["operating_curve"]["points"]] == [0.0, 0.412]
    assert model["operating_curve"]["instead"] == 0.9
    assert model["guarantee"] is False


def test_a_server_decides_at_the_precision_it_is_given(start, trained):
    client = start(precision=0.8)
    (model,) = client.get("/v1/models").json()["models"]
    assert model["operating_curve"]["precision"] == 0.8
    assert model["model_id"] == f"{trained.model.model_id}@0.8"
    rows = trained.catalog.select(np.flatnonzero(~trained.catalog.fatal)[:40])
    texts = [{k: v for k, v in p.fields.items() if k in ("title", "description")} for p in rows]
    products = [{"id": p.id, **fields} for p, fields in zip(rows, texts, strict=True)]
    answers = client.post("/v1/classify", json={"products": products}).json()["results"]
    found = [answer["prediction"]["decision"] for answer in answers]
    asked = [aisle.Product(p.id, fields) for p, fields in zip(rows, texts, strict=True)]
    expected = trained.model.predict(asked, precision=0.8)
    assert found == [one.decision for one in expected]
    assert client.get("/v1/report").json()["model_id"] == trained.model.model_id
    with pytest.raises(PolicyError, match=r"precision 0\.995 is above this model's curve"):
        start(precision=0.995)
