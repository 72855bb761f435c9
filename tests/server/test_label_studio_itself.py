"""Label Studio itself: tasks are imported, predicted by `aisle serve`, annotated, exported and read again.

AISLE_LABEL_STUDIO names the program, which needs an environment of its own:
`pip install label-studio` into a new virtual environment, then `.../bin/label-studio`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import aisle
from tests.waiting import wait_until

PROGRAM = os.environ.get("AISLE_LABEL_STUDIO", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM, reason="AISLE_LABEL_STUDIO does not name label-studio's program"),
]
TOKEN = "0123456789abcdef0123456789abcdef01234567"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A server that runs until the end of the test."""

    def __init__(self, command, path, log, **environment):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env={**os.environ, **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self.responds, path, timeout=400, every=0.5)

    def responds(self, path):
        assert self.process.poll() is None, self.log.read_text("utf-8", "replace")[-2000:]
        try:
            urllib.request.urlopen(self.address + path, timeout=5)
        except OSError:
            return False
        return True

    def ask(self, method, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Token {TOKEN}"}
        request = urllib.request.Request(self.address + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:2000]!r}") from None

    def end(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)


@pytest.fixture
def servers(trained, tmp_path):
    started = []
    serve = [sys.executable, "-m", "aisle", "serve", str(trained.run), "--store", str(tmp_path / "store.db")]
    user = ["--username", "ana@shop.example", "--password", "not-a-secret", "--user-token", TOKEN]
    settings = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path / "label-studio"),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LATEST_VERSION_CHECK": "false",
        "COLLECT_ANALYTICS": "false",
        "ML_BLOCK_LOCAL_IP": "false",  # the backend is on this machine
        "SSRF_PROTECTION_ENABLED": "false",
    }
    try:
        started.append(Process(serve, "/ready", tmp_path / "aisle.log"))
        command = [PROGRAM, "start", "--no-browser", *user]
        started.append(Process(command, "/health", tmp_path / "studio.log", **settings))
        yield started
    finally:
        for one in started:
            one.end()


def typed(*words):
    command = [sys.executable, "-m", "aisle", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_there_and_back(servers, trained, shop, tmp_path):
    backend, studio = servers
    tasks, store = tmp_path / "tasks.json", tmp_path / "store.db"
    typed("export-tasks", trained.run, shop.products, "--out", tasks)
    expected = trained.model.predict(trained.catalog)
    config = (tmp_path / "tasks.xml").read_text("utf-8")
    project = studio.ask("POST", "/api/projects", {"title": "Shop", "label_config": config})["id"]
    sent = json.loads(tasks.read_text("utf-8"))[:6]
    found = studio.ask("POST", f"/api/projects/{project}/import", sent)
    assert (found["task_count"], found["prediction_count"]) == (6, 6)

    # The pre-annotations are those of the model.
    listed = studio.ask("GET", f"/api/tasks?project={project}&fields=all&page_size=100")["tasks"]
    by_id = {prediction.id: prediction for prediction in expected}
    assert len(listed) == 6
    for task in listed:
        (one,) = task["predictions"]
        best = by_id[task["data"]["id"]]
        assert one["result"][0]["value"]["taxonomy"] == [list(best.best)]
        assert one["score"] == pytest.approx(best.confidence[-1], abs=1e-5)
        assert one["model_version"] == trained.model.model_id

    # The server is a backend: Label Studio checks it, sets it up, and asks it for predictions.
    added = {"project": project, "url": f"{backend.address}/label-studio", "title": "Aisle"}
    ml = studio.ask("POST", "/api/ml", added)
    assert studio.ask("GET", f"/api/ml/{ml['id']}")["state"] == "CO"  # connected
    new = {"data": {**sent[0]["data"], "id": "NEW-1"}}
    studio.ask("POST", f"/api/projects/{project}/import", [new])
    listed = studio.ask("GET", f"/api/tasks?project={project}&fields=all&page_size=100")["tasks"]
    (added_task,) = [task for task in listed if task["data"]["id"] == "NEW-1"]
    studio.ask("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", {
        "selectedItems": {"all": False, "included": [added_task["id"]]}
    })  # fmt: skip
    detail = studio.ask("GET", f"/api/tasks/{added_task['id']}")
    (one,) = detail["predictions"]
    assert one["model_version"] == trained.model.model_id
    assert one["result"][0]["from_name"] == "category"

    # Annotations come back: by the webhook as feedback, by the export as labels.
    first, second = listed[0], listed[1]
    choice = by_id[listed[2]["data"]["id"]].best
    value = {
        "from_name": "category",
        "to_name": "title",
        "type": "taxonomy",
        "value": {"taxonomy": [list(choice)]},
    }
    studio.ask("POST", f"/api/tasks/{first['id']}/annotations", {"result": [value]})
    studio.ask("POST", f"/api/tasks/{second['id']}/annotations", {"result": [], "was_cancelled": True})
    export = tmp_path / "export.json"
    everything = studio.ask("GET", f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true")
    export.write_text(json.dumps(everything), "utf-8")
    labelled = tmp_path / "labelled.jsonl"
    said = typed("import-annotations", export, "--out", labelled, "--run", trained.run)
    assert "7 tasks: 1 labelled, 1 skipped, 5 without an annotation" in said
    (product,) = aisle.read(labelled)
    assert (product.id, product.categories[0]) == (first["data"]["id"], choice)

    def stored():
        typed("feedback", "export", tmp_path / "feedback.jsonl", "--store", store)
        return (tmp_path / "feedback.jsonl").read_text("utf-8").splitlines()

    wait_until(stored, timeout=60, every=0.5)
    (row,) = map(json.loads, stored())
    assert (row["id"], tuple(row["category"])) == (first["data"]["id"], choice)
