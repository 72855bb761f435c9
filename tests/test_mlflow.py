"""Models in MLflow: saved, logged, loaded as python_function, and served by MLflow's own server."""

import json
import os
import socket
import subprocess
import sys
import urllib.request

import pytest

pd = pytest.importorskip("pandas")
mlflow = pytest.importorskip("mlflow")

import aisle  # noqa: E402
import aisle.mlflow as flavor  # noqa: E402
from aisle.errors import AisleError  # noqa: E402
from aisle.rules import Ruleset  # noqa: E402
from aisle.taxonomy import format_path  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and what it uses


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow") / "model"
    flavor.save_model(trained.model, folder)
    return folder


@pytest.fixture(scope="module")
def rows(shop):
    return pd.read_csv(shop.products).head(20)


@pytest.fixture
def tracking(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.create_experiment("shop", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("shop")


def expected(trained, frame):
    catalog = aisle.read(frame, like=trained.model, labels=False)
    return [prediction.to_dict() for prediction in trained.model.predict(catalog)]


def test_a_data_frame_of_predictions_comes_back(saved, trained, rows):
    model = mlflow.pyfunc.load_model(str(saved))
    rows = rows.set_index(rows.index + 100)
    found = model.predict(rows)
    assert list(found.index) == list(rows.index)
    without_problems = [{**row, "problems": []} for row in found.to_dict("records")]
    for row, one in zip(without_problems, expected(trained, rows), strict=True):
        threshold = None if pd.isna(row["threshold"]) else row["threshold"]
        assert {**row, "threshold": threshold} == {**one, "problems": []}


def test_the_signature_names_the_columns_of_the_training_catalog(saved, trained, rows):
    info = mlflow.models.get_model_info(str(saved))
    inputs = info.signature.inputs
    assert {"id", "title", "description"} <= set(inputs.input_names())
    assert not any(column.required for column in inputs.inputs)
    assert info.signature.outputs.input_names()[:4] == ["id", "best", "best_id", "path"]
    assert info.metadata == {"aisle_model_id": trained.model.model_id}
    example = mlflow.models.Model.load(str(saved)).load_input_example(str(saved))
    model = mlflow.pyfunc.load_model(str(saved))
    assert len(model.predict(example)) == 1
    titles = model.predict(pd.DataFrame({"title": ["red running shoes", None]}))  # no other column
    assert list(titles["decision"])[1] == "review"


def test_rules_act_and_are_named_and_their_fields_are_passed_on(trained, tmp_path):
    node = trained.model.taxonomy.nodes[-1]
    text = f"""
        fields = ["seller"]
        [[rule]]
        id = "acme"
        action = "force"
        category = {json.dumps(node.id)}
        when.seller = "Acme"
    """
    flavor.save_model(trained.model.with_rules(Ruleset.parse(text)), tmp_path / "model")
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    found = model.predict(pd.DataFrame({"title": ["red running shoes"] * 2, "seller": ["ACME", "Other"]}))
    assert list(found["rule"]) == ["acme", ""]
    assert found["path"].iloc[0] == format_path(node.path)


@pytest.mark.slow
def test_a_logged_model_is_loaded_by_its_address(tracking, trained, rows):
    with mlflow.start_run():
        info = flavor.log_model(trained.model, "classifier", registered_model_name="shop")
    again = flavor.load_model(info.model_uri)
    assert again.model_id == trained.model.model_id
    registered = mlflow.pyfunc.load_model("models:/shop/1")
    best = list(registered.predict(rows)["best"])
    assert best == [one["best"] for one in expected(trained, rows)]


def test_a_model_of_another_flavor_is_refused(tmp_path):
    class Nothing(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input):
            return model_input

    mlflow.pyfunc.save_model(str(tmp_path / "other"), python_model=Nothing(), pip_requirements=[])
    with pytest.raises(AisleError, match="not a model of Aisle"):
        flavor.load_model(str(tmp_path / "other"))


@pytest.mark.slow
def test_mlflows_own_server_serves_it(saved, trained, rows):
    pytest.importorskip("fastapi")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(saved), "--env-manager", "local"]
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:

        def responds():
            assert process.poll() is None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
                    return True
            except OSError:
                return False

        wait_until(responds, every=0.2)
        frame = rows[["id", "title", "description"]]
        body = json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            predictions = json.load(answer)["predictions"]
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
    wanted = expected(trained, frame)
    assert [one["path"] for one in predictions] == [one["path"] for one in wanted]
    assert predictions[0]["confidence"] == pytest.approx(wanted[0]["confidence"], abs=1e-5)
