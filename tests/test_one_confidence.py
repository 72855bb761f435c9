"""One product, one confidence: every kind of model, and every place that shows one, say the same number."""

import csv
import dataclasses
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import aisle
from aisle.cli import register
from aisle.evaluation import evaluate
from aisle.evaluation.drift.profile import profile
from aisle.evaluation.numbers import percent
from aisle.guarantee import Calibration, KnnCalibration, OperatingPoint
from aisle.guarantee.knn_calibration import Line
from aisle.guarantee.rule import NEVER
from aisle.inference.cascade import Cascade
from aisle.inference.ensemble import Ensemble
from aisle.inference.explain import explain
from aisle.inference.loading import open_model
from aisle.inference.prediction_files import write_predictions
from aisle.server.app import create_app
from aisle.server.settings import ServerSettings
from aisle.server.state import Server
from tests.conftest import NETWORK

NEW = aisle.Product("new-1", {"title": "oak wall clock", "description": "with roman numerals"})
ALIKE = 1e-6
KINDS = "torch", "ensemble", "cascade", pytest.param("onnx", marks=pytest.mark.slow)


def deciding(policy, spaces):
    """The same, calibrated anew, and asking neighbors: no number of it is the network's own."""
    full = Line(-0.4, 0.7, (1.5,) * spaces, (0.5,) * spaces)
    branch = Line(0.1, 0.9, (0.8,) * spaces, (0.5,) * spaces)
    return dataclasses.replace(
        policy,
        calibration=Calibration((0.7,), ((0.15, 0.5),)),
        curve=(OperatingPoint(policy.settings.precision, 4.0, NEVER, (), 0, 0.0, ()),),
        knn_calibration=KnnCalibration(full, branch),
        ood=None,
    )


@pytest.fixture(scope="module")
def torch_model(trained):
    spaces = len(trained.model.knn_index.spaces)
    assert spaces == 3  # title and description, image, attributes
    return trained.model.with_policy(deciding(trained.model.policy, spaces))


@pytest.fixture(scope="module")
def network(trained):
    """A linear model has no ONNX twin: it runs without torch as it is."""
    model = aisle.train(trained.catalog, NETWORK)
    spaces = len(model.knn_index.spaces)
    assert spaces == 1
    return model.with_policy(deciding(model.policy, spaces))


@pytest.fixture(scope="module", params=KINDS)
def kind(request, torch_model, trained, tmp_path_factory):
    """(a folder with a model of this kind, the model as it is loaded from there)."""
    home = tmp_path_factory.mktemp(request.param) / "model"
    if request.param == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
        from aisle.inference.onnx.export import export

        export(request.getfixturevalue("network"), trained.catalog, home)
    elif request.param == "ensemble":
        both = Ensemble.of([torch_model, trained.model], ["a", "b"], [3, 1])
        both.with_policy(torch_model.policy).save(home)
    elif request.param == "cascade":
        usual = float(np.median(torch_model.score(trained.catalog.select(np.arange(60))).logp.max(1)))
        Cascade((torch_model, trained.model), (usual,), policy=torch_model.policy).save(home)
    else:
        torch_model.save(home)
    return home, open_model(home)


def run_cli(*arguments):
    result = CliRunner().invoke(register(), list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


def same(one, other):
    assert one == pytest.approx(other, abs=ALIKE)


def test_predictions_written_in_every_format(kind, tmp_path):
    _, model = kind
    one = model.predict([NEW])[0]
    assert one.alternatives[0] == (one.best, one.confidence[-1])
    files = {end: tmp_path / f"found{end}" for end in (".jsonl", ".csv", ".parquet")}
    for file in files.values():
        write_predictions([one], file)
    (line,) = map(json.loads, files[".jsonl"].read_text().splitlines())
    (row,) = pq.read_table(files[".parquet"]).to_pylist()
    for written in (line, row):
        same(written["confidence"], list(one.confidence))
        same([a["confidence"] for a in written["alternatives"]], [a.confidence for a in one.alternatives])
        same(written["threshold"], one.threshold)
        assert written["reason"] == one.reason
    with files[".csv"].open(newline="", encoding="utf-8-sig") as handle:
        (cell,) = csv.DictReader(handle)
    same(float(cell["confidence"]), one.confidence[len(one.path) - 1])
    same(float(cell["best_confidence"]), one.confidence[-1])
    assert cell["reason"] == one.reason
    same(float(re.search(r"\(([\d.e-]+)\)", cell["alternatives"])[1]), one.confidence[-1])
    assert "probability" not in "".join(files[end].read_text() for end in (".jsonl", ".csv"))


@pytest.mark.slow
def test_the_python_api_and_explanations(kind, tmp_path):
    home, model = kind
    one = model.predict([NEW])[0]
    confidences = model.confidences([NEW])
    node = model.taxonomy.index(one.best)
    same(float(np.exp(confidences.place(node))[0]), one.confidence[-1])
    levels = np.exp(confidences.lineage(np.array([node])))[0, : len(one.confidence)]
    same(levels.tolist(), list(one.confidence))
    told = explain(model, [NEW])[0]
    assert told.path == one.best
    same(told.confidence, one.confidence[-1])
    assert told.seen is False
    second = one.alternatives[1]
    same(explain(model, [NEW], model.taxonomy.index(second.path))[0].confidence, second.confidence)
    branch = model.taxonomy.index(one.best[:1])
    same(explain(model, [NEW], branch)[0].confidence, one.confidence[0])
    asked = json.dumps({"id": NEW.id, **NEW.fields})
    (said,) = json.loads(run_cli("explain", home, "--product", asked, "--out", tmp_path / "why", "--json"))
    same(said["confidence"], one.confidence[-1])
    text = run_cli("explain", home, "--product", asked, "--out", tmp_path / "why")
    assert f"confidence {percent(one.confidence[-1])}" in text
    assert percent(one.confidence[-1]) in (tmp_path / "why" / "explain.html").read_text()


def test_different_products_have_different_reasons(torch_model, trained):
    found = torch_model.predict(trained.catalog.select(np.arange(60)))
    unsure = [one for one in found if "level unsure" in one.reason]
    assert len({one.reason for one in unsure}) > 1
    for one in unsure:  # the category that is unsure is named
        assert any(name in one.reason for name in one.best)


def test_the_log_odds_of_an_explanation_add_up_to_its_confidence(torch_model):
    told = explain(torch_model, [NEW])[0]
    nothing = explain(torch_model, [aisle.Product("0", {})], torch_model.taxonomy.index(told.path))[0]
    before = np.log(nothing.confidence / (1 - nothing.confidence)) - nothing.neighbors
    full = before + sum(told.views.values()) + told.neighbors
    assert 1 / (1 + np.exp(-full)) == pytest.approx(told.confidence, abs=1e-4)


@pytest.mark.slow
def test_a_product_that_was_a_training_row_is_called_one(torch_model, trained, shop, tmp_path):
    torch_model.save(tmp_path / "model")
    rows = np.flatnonzero(torch_model.seen(trained.catalog))
    others = np.flatnonzero(~torch_model.seen(trained.catalog))
    known, unknown = trained.catalog[int(rows[0])], trained.catalog[int(others[0])]
    assert [one.seen for one in explain(torch_model, [known, unknown])] == [True, False]
    asked = "--source", shop.products, "--out", tmp_path / "why"
    text = run_cli("explain", tmp_path / "model", "--product", known.id, *asked)
    assert "trained on this product" in text
    assert "trained on this product" in (tmp_path / "why" / "explain.html").read_text()
    assert "trained on" not in run_cli("explain", tmp_path / "model", "--product", unknown.id, *asked)
    written = json.dumps({"title": known.fields["title"].upper(), "description": known.fields["description"]})
    (said,) = json.loads(
        run_cli("explain", tmp_path / "model", "--product", written, "--out", tmp_path / "why", "--json")
    )
    assert said["seen"] is True


def test_the_server_suggests_reviews_and_keeps_the_same(kind, tmp_path):
    home, model = kind
    one = model.predict([NEW])[0]
    best, full = list(one.best), one.confidence[-1]
    server = Server.start(
        ServerSettings(runs={"shop": home}, store=str(tmp_path / "store.db"), double_review_rate=0.0)
    )
    with TestClient(create_app(server), base_url="http://127.0.0.1:8000") as client:
        sent = {"id": NEW.id, **NEW.fields}
        (answer,) = client.post("/v1/classify", json={"products": [sent]}).json()["results"]
        same(answer["prediction"]["confidence"], list(one.confidence))
        same(answer["prediction"]["alternatives"][0]["confidence"], full)
        assert answer["prediction"]["reason"] == one.reason
        title = NEW.fields["title"]
        for asked in ({"title": title + " "}, {"title": title, "finished": True}):
            told = client.post("/v1/suggest", json={**NEW.fields, **asked}).json()
            assert told["completed"] is None
            assert told["suggestions"][0]["path"] == best
            same(
                [s["confidence"] for s in told["suggestions"]],
                [a["confidence"] for a in answer["prediction"]["alternatives"]],
            )
        client.post("/v1/review/items?include_accepted=true", json={"products": [sent]})
        (item,) = client.post("/v1/review/next", json={}).json()["items"]
        same(item["prediction"]["confidence"][-1], full)
        same(item["expected_gain"], 1 - full)
        same(item["prediction"]["threshold"], one.threshold)
        assert item["prediction"]["reason"] == one.reason
        choice = {"chosen": one.best_id, "token": item["token"]}
        assert client.post(f"/v1/review/items/{item['id']}/decide", json=choice).status_code == 200
        page = client.get(f"/v1/products/{NEW.id}").json()
        same(page["feedback"][0]["suggested"][0][1], full)
        same(page["reviews"][0]["prediction"]["confidence"][-1], full)
    server.stop()


def test_reports_and_drift(kind, trained):
    _, model = kind
    rows = trained.catalog.select(np.arange(48))
    by_id = {one.id: one for one in model.predict(rows)}
    found = evaluate(model, rows, per_view=False, why=False)
    shown = {e.id: e for e in (*found.examples.best, *found.examples.worst, *found.examples.confused)}
    assert len(shown) >= 17
    for name, example in shown.items():
        assert example.guesses[0].path == by_id[name].best
        same(example.guesses[0].confidence, by_id[name].confidence[-1])
        same(list(example.confidence), list(by_id[name].confidence))
    mean = np.mean([one.confidence[-1] for one in by_id.values()])
    bins = [b for b in found.reliability if b.count]
    same(sum(b.confidence * b.count for b in bins) / sum(b.count for b in bins), mean)
    same(float(profile(model, rows).confidence.mean()), mean)
